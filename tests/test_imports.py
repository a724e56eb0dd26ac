"""Imports point down only, and the command line starts without anything heavy."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Each floor may import from lower floors, and from its own room.
FLOORS = [
    {"engramctl", "errors", "memory", "runtime", "terminal"},
    {"caches", "config", "hashing", "layers", "output", "sources", "storage"},
    {"cli", "fusion", "machine", "residual", "results", "vocabulary"},
    {"__main__", "checkpoints", "corpus", "model"},
    {"counts", "rows"},
    {"access", "counting", "schemes"},
    {"mining", "reuse", "tables"},
    {"bench", "demo", "describe"},
    {"commands"},
]
HEAVY = ("torch", "pyarrow", "numba", "numpy", "rich", "tqdm", "tokenizers")


def room(module: str) -> str:
    parts = module.split(".")
    return parts[1] if len(parts) > 1 else parts[0]


def floor(module: str) -> int:
    for height, rooms in enumerate(FLOORS):
        if room(module) in rooms:
            return height
    raise AssertionError(f"{module} belongs to no floor of tests/test_imports.py")


def modules() -> Iterator[tuple[str, Path]]:
    for path in sorted((ROOT / "engramctl").rglob("*.py")):
        yield ".".join(path.relative_to(ROOT).with_suffix("").parts), path
    for name in ("hashing", "storage"):
        for path in sorted((ROOT / name).rglob("*.py")):
            yield ".".join(("engramctl", *path.relative_to(ROOT).with_suffix("").parts)), path


def imported(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)


def test_imports_point_down_only() -> None:
    for module, path in modules():
        for name in imported(path):
            if not name.startswith("engramctl.") or name.startswith("engramctl.__version__"):
                continue
            if room(name) != room(module):
                assert floor(name) < floor(module), f"{module} imports {name}"


def test_only_commands_and_the_sink_print() -> None:
    for module, path in modules():
        if room(module) in ("commands", "output", "terminal", "cli"):
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id != "print", f"{module} prints at line {node.lineno}"


@pytest.mark.parametrize("words", ["import engramctl.cli", "from engramctl.cli import run"])
def test_the_command_line_starts_without_heavy_imports(words: str) -> None:
    code = (
        f"{words}\nimport contextlib, io, sys\nfrom engramctl.cli import run\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    assert run(['--help']) == 0 and run(['env', '--help']) == 0\n"
        f"print([name for name in {HEAVY!r} if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
