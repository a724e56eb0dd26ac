# Every target does its own set-up; `make install` is the set-up alone.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2

.PHONY: install test demo gpu check lint types wheel clean

install: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml constraints.txt
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	touch $@

test: install
	@echo "the tests take about 20 minutes on 2 idle cores; make test JOBS=4 where there are more"
	$(BIN)/python -m pytest -n $(JOBS) --dist loadfile

demo: install
	$(BIN)/engramctl demo --force

# For a machine with a GPU, in under six minutes; installs nothing, takes .venv when it is there.
gpu:
	PYTHONPATH=. $(or $(wildcard $(BIN)/python),$(PYTHON)) -m tests.gpu $(if $(OUT),--out $(OUT))

check: lint types wheel

lint: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install
	$(BIN)/mypy

# The wheel is built from a clean export, installed into an empty environment and started there.
wheel: install
	.ci/wheel $(BIN)/python

clean:
	rm -rf $(VENV) build dist *.egg-info
