"""`python -m tests.gpu`, as far as a machine without a GPU can tell."""

import json
import os
import re
import select
import subprocess
import sys
import tomllib
from importlib import import_module
from pathlib import Path

import pytest
import torch

from engramctl.machine.environment import capture
from tests.conftest import ROOT
from tests.gpu import (
    BUDGET_S,
    SCHEMA,
    SECTIONS,
    Failed,
    Section,
    bench,
    marked_tests,
)
from tests.gpu.__main__ import run
from tests.gpu.process import run_section

# all that the script may need beside Python
ALLOWED = {
    "hypothesis", "numba", "numpy", "pyarrow", "pytest", "rich", "safetensors", "torch", "tqdm",
    "triton", "typer", "xxhash",
}  # fmt: skip


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """An environment in which what else the project depends on cannot be imported."""
    folder = tmp_path_factory.mktemp("not-here")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"].values()
    for item in {*project["dependencies"], *(item for extra in extras for item in extra)}:
        name = re.split(r"[><=;\[]", item)[0].replace("-", "_")
        if name not in ALLOWED:
            (folder / f"{name}.py").write_text(f"raise ImportError('{name} is not here')\n")
    assert (folder / "tokenizers.py").exists()
    return os.environ | {"PYTHONPATH": f"{folder}{os.pathsep}{ROOT}"}


def python(*words: object, env: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *(str(word) for word in words)],
        cwd=ROOT, env=env, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine would run all of it")
def test_without_a_gpu_every_section_is_skipped_and_says_why(
    bare: dict[str, str], tmp_path: Path
) -> None:
    ended = python("-m", "tests.gpu", "--out", tmp_path / "new" / "folder", env=bare)
    assert ended.returncode == 0, ended.stderr
    (file,) = (tmp_path / "new" / "folder").iterdir()
    assert file.name == "gpu-none.json"
    document = json.loads(file.read_text())
    assert document["schema"] == SCHEMA
    facts = capture()
    assert set(document["environment"]) == set(facts)
    assert document["environment"]["gpu"] == facts["gpu"]
    first, *others = document["sections"]
    assert [first["name"], *(one["name"] for one in others)] == [s.name for s in SECTIONS]
    assert (first["status"], first["reason"]) == ("ok", None)
    for one in others:
        assert (one["status"], one["reason"]) == ("skipped", facts["gpu"]["reason"])
    lines = ended.stdout.splitlines()
    assert [line.split()[:2] for line in lines[:-1]] == [
        [one["status"], one["name"]] for one in document["sections"]
    ]
    assert str(file) in lines[-1]


def test_the_sections_fit_the_budget_and_can_be_imported_bare(bare: dict[str, str]) -> None:
    assert sum(section.limit_s for section in SECTIONS) < BUDGET_S
    assert [section.name for section in SECTIONS if not section.needs_gpu] == ["environment"]
    for section in SECTIONS:
        assert callable(import_module(section.module).run)
    imports = "; ".join(f"import {section.module}" for section in SECTIONS)
    assert python("-c", imports, env=bare).returncode == 0


def test_tests_of_a_gpu_are_found_and_can_be_imported_bare(bare: dict[str, str]) -> None:
    files = sorted((ROOT / "tests").rglob("test_cuda.py"))
    marked = [path for path in (ROOT / "tests").rglob("*.py") if "mark.gpu" in path.read_text()]
    assert sorted(path for path in marked if path != Path(__file__)) == files
    ended = python("-m", "pytest", "-m", "gpu", "--collect-only", "-q", *files, env=bare)
    assert ended.returncode == 0, ended.stdout
    for path in files:
        assert str(path.relative_to(ROOT)) in ended.stdout


WRONG = {
    "dies": "import os, signal\ndef run(): os.kill(os.getpid(), signal.SIGSEGV)",
    "raises": "def run(): raise KeyError('what it was')",
    "leaves": "import sys\ndef run(): sys.exit(3)",
    "finds": "from tests.gpu import Failed\ndef run(): raise Failed('two rows', [1, 2])",
    "lacks": "from tests.gpu import Skipped\ndef run(): raise Skipped('no triton')",
    "works": "def run(): return {'rows': 7}",
    "environment": "def run(): return {'gpu': {'available': True, 'devices': [{'name': 'A B'}]}}",
}


@pytest.fixture
def _written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in WRONG.items():
        (tmp_path / f"{name}.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")


def section(name: str, limit_s: int = 60, *, needs_gpu: bool = True) -> Section:
    return Section(name, limit_s, needs_gpu, room="")


@pytest.mark.usefixtures("_written")
def test_a_section_that_dies_loses_none_of_the_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    names = ("dies", "raises", "leaves", "finds", "lacks", "works")
    sections = [section("environment", needs_gpu=False), *map(section, names)]
    assert run(sections, tmp_path / "out") == 1
    document = json.loads((tmp_path / "out" / "gpu-a-b.json").read_text())
    assert document["environment"]["gpu"]["devices"] == [{"name": "A B"}]
    found = {one["name"]: one for one in document["sections"]}
    assert tuple(found) == ("environment", *names)
    assert found["dies"]["reason"].startswith("died of SIGSEGV")
    assert found["raises"]["reason"].endswith("KeyError: 'what it was'")
    assert found["leaves"]["reason"] == "ended with 3"
    assert (found["finds"]["reason"], found["finds"]["result"]) == ("two rows", [1, 2])
    assert (found["lacks"]["status"], found["lacks"]["reason"]) == ("skipped", "no triton")
    assert (found["works"]["status"], found["works"]["result"]) == ("ok", {"rows": 7})
    failed = {name for name, one in found.items() if one["status"] == "failed"}
    assert failed == {"dies", "raises", "leaves", "finds"}
    assert "KeyError: 'what it was'" in capsys.readouterr().out
    assert run([section("environment", needs_gpu=False), section("works")], tmp_path / "out") == 0


def test_rows_that_were_measured_are_kept_when_a_section_does_not_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "drips.py").write_text(
        "import os, time\n"
        "def run():\n"
        "    yield {'rows': 1}\n"
        "    yield {'rows': 2}\n"
        "    time.sleep(600)\n"
    )
    (tmp_path / "breaks.py").write_text("def run():\n    yield 1\n    raise KeyError('what')\n")
    (tmp_path / "ends.py").write_text("def run():\n    yield 1\n")
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    found = run_section(section("drips", 5))
    assert (found["status"], found["reason"]) == ("failed", "took longer than 5 s")
    assert found["result"] == [{"rows": 1}, {"rows": 2}]
    found = run_section(section("breaks"))
    assert found["status"] == "failed"
    assert found["reason"].endswith("KeyError: 'what'")
    assert found["result"] == [1]
    assert run_section(section("ends")) | {"seconds": 0} == {
        "name": "ends", "seconds": 0, "status": "ok", "reason": None, "result": [1],
    }  # fmt: skip


def test_a_section_over_its_time_is_ended_with_all_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it started holds a pipe open, whose end is seen when it is gone."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    (tmp_path / "hangs.py").write_text(
        "import os, time\n"
        "def run():\n"
        "    if not os.fork():\n"
        f"        held = open({str(pipe)!r}, 'wb', 0)\n"
        "        held.write(b'!')\n"
        "    time.sleep(600)\n"
    )
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}{os.pathsep}{ROOT}")
    reader = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    found = run_section(section("hangs", 5))
    assert (found["status"], found["reason"]) == ("failed", "took longer than 5 s")
    assert os.read(reader, 1) == b"!"
    assert select.select([reader], [], [], 20)[0]
    assert os.read(reader, 1) == b""
    os.close(reader)


def test_bench_runs_bare_and_its_failure_is_told(
    bare: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in bare.items():
        monkeypatch.setenv(name, value)
    few = ("--preset", "tiny", "--samples", "3", "--tokens", "4", "--context", "3")
    document = bench.measured("f8_e4m3", 300, "--tier", "host", *few)
    assert {case["status"] for case in document["cases"]} == {"ok"}
    with pytest.raises(Failed, match="bench ended with 2: "):
        bench.measured("f8_e4m3", 300, "--tier", "tape", *few)


def test_the_hashing_benchmark_runs_where_triton_is_interpreted() -> None:
    code = (
        "import json, timeit, torch\n"
        "from tests.benchmarks.hashing_cuda import measured\n"
        "seconds_of = lambda arm: timeit.timeit(arm, number=1)\n"
        "prompt = measured(torch.device('cpu'), 200, 1, seconds_of)\n"
        "step = measured(torch.device('cpu'), 4, 1, seconds_of, batch=4, graphed=True)\n"
        "print(json.dumps([prompt, step]))\n"
    )
    ended = python("-c", code, env=os.environ | {"TRITON_INTERPRET": "1", "PYTHONPATH": str(ROOT)})
    assert ended.returncode == 0, ended.stderr
    assert [row["unit"] for row in json.loads(ended.stdout)] == ["tokens/s"] * 2


def test_outcomes_of_tests_are_counted_and_failures_kept(tmp_path: Path) -> None:
    file = tmp_path / "test_cuda.py"
    file.write_text(
        "import pytest\n"
        "@pytest.mark.gpu\n"
        "@pytest.mark.parametrize('x', [1, 2, 3])\n"
        "def test_x(x): assert x != 2, 'two is wrong'\n"
        "@pytest.mark.gpu\n"
        "def test_y(): pytest.skip('needs 12 GiB')\n"
        "def test_without_a_mark(): assert False\n"
    )
    with pytest.raises(Failed, match="1 tests failed") as caught:
        marked_tests.run_tests([str(file)])
    counted = caught.value.result
    assert (counted["passed"], counted["failed"]) == (2, 1)
    assert [reason for reason in counted["skipped"]] == ["needs 12 GiB"]
    (failure,) = counted["failures"]
    assert "two is wrong" in failure["text"]
    file.write_text("import pytest\n@pytest.mark.gpu\ndef test_y(): pytest.skip('no')\n")
    with pytest.raises(Failed, match="no test was run"):
        marked_tests.run_tests([str(file)])
    file.write_text("import nothing_of_this_name\n")
    with pytest.raises(Failed, match="1 tests failed"):
        marked_tests.run_tests([str(file)])
    file.write_text(
        "import pytest, time\n"
        "@pytest.mark.gpu\n"
        "def test_x(): pass\n"
        "@pytest.mark.gpu\n"
        "def test_y(): time.sleep(600)\n"
    )
    with pytest.raises(Failed, match="not every test was begun within 6 s") as caught:
        marked_tests.run_tests([str(file)], limit_s=6)
    assert caught.value.result["passed"] == 1
