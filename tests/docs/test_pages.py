"""What the pages show is what happens: their blocks run, and their tables and names are ours."""

import importlib
import re
import shlex
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from engramctl.cli import COMMANDS
from engramctl.demo.view import tier_rows
from engramctl.errors import EngramError
from engramctl.hashing import PRESETS, make_scheme
from tests.conftest import ROOT, RunCli
from tests.docs.pages import DOCS, PAGES, README, Page, code, page

# Its readers need tables of every layout: tests/storage/format/ runs them.
RUN = [one for one in PAGES if one.blocks and one.name != "docs/format.md"]
LINKING = [*PAGES, Page(ROOT / "CONTRIBUTING.md"), Page(ROOT / "docs" / "results" / "README.md")]
PUBLIC = ("engramctl.hashing", "engramctl.storage", "engramctl.checkpoints")
SHAPE = re.compile(r"^\s*(\w+) = .*# (?:(\w+) )?.*?\((\d+(?:, \d+)+)\)", flags=re.MULTILINE)
TOLD_TWICE = 9  # as many words in a row on two pages are one thing said twice


def run_commands(run_cli: RunCli, block: str) -> None:
    """Run the lines of a block, each a command of ours."""
    for line in block.replace("\\\n", " ").splitlines():
        program, *words = shlex.split(line)
        assert program == "engramctl"
        result = run_cli(*words)
        assert result.exit_code == 0, f"{line}\n{result.stderr}"


def run_python(block: str, names: dict[str, Any], where: str) -> None:
    """Run a block; a shape in the comment of an assignment is that of its value."""
    exec(compile(block, where, "exec"), names)
    for name, dtype, shape in SHAPE.findall(block):
        assert tuple(names[name].shape) == tuple(int(size) for size in shape.split(", ")), name
        assert not re.search(r"\d$", dtype) or str(names[name].dtype).endswith(dtype), name


@pytest.mark.parametrize("one", RUN, ids=lambda one: one.name)
def test_the_blocks_of_a_page_run(one: Page, run_cli: RunCli, demo: Path) -> None:
    """In the order they stand; a config file is there for the commands that follow it."""
    names: dict[str, Any] = {}
    for block in one.blocks:
        if block.language == "sh":
            run_commands(run_cli, block.text)
        elif block.language == "python":
            run_python(block.text, names, one.name)
        else:
            assert block.language == "toml", f"a block of {one.name} that nobody runs"
            Path("engramctl.toml").write_text(block.text)


def test_python_blocks_use_the_public_packages_alone() -> None:
    for one in PAGES:
        for block in one.blocks:
            if block.language == "python":
                used = re.findall(r"^ *(?:from|import) (engramctl\S*)", block.text, re.MULTILINE)
                assert set(used) <= set(PUBLIC), one.name


def test_the_readme_is_one_screen() -> None:
    assert len(README.text.splitlines()) <= 80


def test_every_block_is_found_and_every_option_is_one() -> None:
    """A fence that is indented would hide its block."""
    helps = "\n".join(path.read_text() for path in (ROOT / "tests" / "help").glob("*.txt"))
    ours = set(re.findall(r"--[a-z][a-z-]*", helps)) | {"--help", "--version"}
    for one in PAGES:
        assert one.fences == 2 * len(one.blocks), one.name
        assert one.options <= ours, one.name


def test_every_page_is_linked_from_the_readme() -> None:
    linked = {link for link in README.links if link.startswith("docs/")}
    assert {one.name for one in DOCS} <= linked


@pytest.mark.parametrize("one", LINKING, ids=lambda one: one.name)
def test_every_link_leads_somewhere(one: Page) -> None:
    for link in one.links:
        file, _, anchor = link.partition("#")
        target = (one.path.parent / file).resolve() if file else one.path
        assert target.is_relative_to(ROOT), link
        assert target.exists(), link
        assert not anchor or anchor in Page(target).anchors, link


def test_no_page_says_what_another_says() -> None:
    said = defaultdict(set)
    for one in [*PAGES, Page(ROOT / "CONTRIBUTING.md")]:
        for run in one.runs(TOLD_TWICE):
            said[run].add(one.name)
    assert {run: pages for run, pages in said.items() if len(pages) > 1} == {}


def test_the_demo_table_has_the_columns_the_demo_prints() -> None:
    case = {
        "tier": "host", "cache": "warm", "loop": "warm", "phase": "decode", "status": "ok",
        "reason": None, "p50_ns": 1, "p99_ns": 1, "rows_per_s": 1, "useful_bytes": 1,
        "resolution_percent": 0.5, "against": {"none_percent": 1.0},
    }  # fmt: skip
    result = {
        "config": {"tiers": ["host"]},
        "cases": [
            {**case, "name": name, "phase": phase}
            for name in ("gather", "step")
            for phase in ("decode", "prefill")
        ],
    }
    [row] = tier_rows(result)
    lines = README.text.splitlines()
    shown = next(line for line in lines if line.lstrip().startswith("tier  "))
    assert re.split(r"\s{2,}", shown.strip()) == list(row)


def test_the_table_of_commands_is_the_command_line() -> None:
    assert [code(row[0])[0] for row in README.rows()] == [f"engramctl {name}" for name in COMMANDS]


def test_every_exit_code_has_its_line() -> None:
    cells = [row[0] for row in page("commands").rows("Exit codes")]
    kinds: list[type[EngramError]] = [EngramError, *EngramError.__subclasses__()]
    ours = {kind.exit_code for kind in kinds}
    assert {int(number) for cell in cells for number in cell.split(",")} == ours | {0, 70, 130, 143}


def test_benchmark_names_are_the_ones_that_exist() -> None:
    from tests.benchmarks.__main__ import NAMES

    shown = [code(row[0])[0] for row in page("measuring").rows("Benchmarks of engramctl itself")]
    assert shown == list(NAMES)
    for name in NAMES:
        assert (ROOT / "tests" / "benchmarks" / f"{name}.py").exists()


def test_the_table_of_presets_is_what_they_derive() -> None:
    shown = set()
    for row in page("schemes").rows("Families and released models"):
        for name in code(row[0]):
            scheme = make_scheme(name)
            assert row[2:] == [
                ", ".join(map(str, scheme.layers)),
                ", ".join(map(str, scheme.orders)),
                str(scheme.heads_per_order),
                " and ".join(f"{scheme.num_rows(layer):,}" for layer in scheme.layers),
                str(scheme.row_dim),
                f"`{scheme.dtype}`",
            ]
            shown.add(name)
    assert shown == set(PRESETS)


@pytest.mark.parametrize("name", PUBLIC)
def test_the_public_names_of_a_module_are_those_of_its_page(name: str) -> None:
    module = importlib.import_module(name)
    shown = [re.split(r"\W", code(row[0])[0])[0] for row in page("python").rows(name)]
    shown.append(code(page("python").prose.split("is an")[1])[0])  # the one name that all have
    assert sorted(shown) == sorted(module.__all__)
    assert all(hasattr(module, one) for one in shown)
