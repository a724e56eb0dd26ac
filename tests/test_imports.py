"""The house: every file in a room, rooms import downwards only, and a command starts light."""

import ast
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT

# Top to bottom: a room, or a file that stands alone, imports only what stands below it here. An
# import inside a function, for types alone or through a room's `__init__` counts like any other.
HOUSE = (
    "engramctl/__main__.py",
    "engramctl/cli.py",
    "engramctl/commands",
    "engramctl/arguments",
    "engramctl/completion",
    "engramctl/demo",
    "engramctl/report",
    "engramctl/report/drawing",
    "engramctl/report/figures",
    "engramctl/describe",
    "engramctl/comparison",
    "engramctl/bench",
    "engramctl/measured",
    "engramctl/ranks",
    "engramctl/traffic",
    "engramctl/sweep",
    "engramctl/arms",
    "engramctl/tables",
    "engramctl/reuse",
    "engramctl/schemes",
    "engramctl/mining",
    "engramctl/access",
    "engramctl/counting",
    "engramctl/counts",
    "engramctl/rows",
    "engramctl/shown",
    "engramctl/results",
    "engramctl/caches",
    "engramctl/corpus",
    "engramctl/upkeep",
    "engramctl/sources",
    "engramctl/checkpoints",
    "engramctl/gguf",
    "engramctl/model_folder",
    "engramctl/vocabulary",
    "engramctl/machine",
    "engramctl/model",
    "engramctl/residual",
    "engramctl/fusion",
    "engramctl/layers",
    "hashing/__init__.py",
    "hashing/diagnose",
    "hashing/released",
    "hashing/dictionary",
    "hashing/scheme",
    "hashing/kernels",
    "hashing/walk",
    "storage/__init__.py",
    "storage/tiers",
    "storage/requests",
    "storage/pinned",
    "storage/device",
    "storage/verifying",
    "storage/dictionary",
    "storage/direct",
    "storage/cache",
    "storage/record_log",
    "storage/io",
    "storage/memory",
    "storage/readers",
    "storage/writing",
    "storage/reading",
    "storage/format",
    "storage/widening",
    "storage/record",
    "storage/files",
    "storage/kinds",
    "engramctl/output.py",
    "engramctl/config.py",
    "engramctl/numbers.py",
    "engramctl/processors.py",
    "engramctl/memory.py",
    "engramctl/terminal",
    "engramctl/runtime",
    "engramctl/errors.py",
    "engramctl/__init__.py",
)
PACKAGES = ("engramctl", "hashing", "storage")
MOST_FILES = 13  # of a room, its `__init__` apart
PRINTERS = ("engramctl/cli.py", "engramctl/commands", "engramctl/output.py", "engramctl/terminal")
LINE = re.compile(r"    ((?:engramctl|hashing|storage)/\S*) +(\S.*)")
NOT_OURS = ("self", "cls", "os", "torch", "global_compiler_lock", "store.usage.changed")
# What hashing and storage may know of us.
FLOOR = ("engramctl/memory.py", "engramctl/numbers.py", "engramctl/processors.py")
SERVING = ("tiers", "requests", "pinned", "device")  # rooms of storage that load torch
HEAVY = ("torch", "matplotlib", "pyarrow", "numba", "numpy", "rich", "tqdm", "tokenizers")


def modules() -> dict[str, Path]:
    """Every module of the product with its file, by the name it is imported under."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            if any(parent.is_symlink() for parent in path.parents):
                continue
            parts = path.relative_to(ROOT).with_suffix("").parts
            inside = parts if package == "engramctl" else ("engramctl", *parts)
            found[".".join(inside).removesuffix(".__init__")] = path
    return found


MODULES = modules()


def room(path: Path) -> str:
    """The entry of HOUSE that a file belongs to."""
    place = path.relative_to(ROOT)
    for entry in (str(place), str(place.parent)):
        if entry in HOUSE:
            return entry
    raise AssertionError(f"{place} stands in no room of HOUSE in tests/test_imports.py")


def imported(path: Path) -> Iterator[Path]:
    """The files of ours that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        names = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively at line {node.lineno}"
            assert node.module
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            names = [name if name in MODULES else node.module for name in inner]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            assert name.partition(".")[0] not in ("hashing", "storage"), f"{path} imports {name}"
            if name in MODULES:
                yield MODULES[name]


def sentence(entry: str) -> str:
    """The first line of a room's docstring."""
    path = ROOT / entry
    text = ast.get_docstring(
        ast.parse((path / "__init__.py" if path.is_dir() else path).read_text())
    )
    assert text, entry
    return text.split("\n")[0]


def test_every_file_has_a_room_and_every_room_files() -> None:
    filled = Counter(room(path) for path in MODULES.values())
    assert set(filled) == set(HOUSE)
    assert len(HOUSE) == len(set(HOUSE))
    assert {entry for entry, files in filled.items() if files > MOST_FILES + 1} == set()


def test_a_rooms_init_is_its_sentence_alone() -> None:
    """So that a file is imported with what it needs, and not with all of its room."""
    public = ("checkpoints", "hashing", "storage")
    for name, path in MODULES.items():
        if path.name == "__init__.py" and name.count(".") and name.rpartition(".")[2] not in public:
            assert len(ast.parse(path.read_text()).body) == 1, path


def test_tests_mirror_the_rooms() -> None:
    for entry in HOUSE:
        if not entry.endswith(".py"):
            folder = ROOT / "tests" / entry.removeprefix("engramctl/")
            assert any(folder.rglob("test_*.py")), entry


def test_imports_point_down_only() -> None:
    for path in MODULES.values():
        for target in imported(path):
            up = HOUSE.index(room(target)) < HOUSE.index(room(path))
            assert not up, f"{path.relative_to(ROOT)} imports {target.relative_to(ROOT)}"


def test_hashing_and_storage_do_not_know_each_other_nor_what_stands_on_them() -> None:
    for package in ("hashing", "storage"):
        above = {one.relative_to(ROOT) for name, path in MODULES.items()
                 if name.startswith(f"engramctl.{package}") for one in imported(path)}  # fmt: skip
        own = {one for one in above if one.parts[0] == package}
        floor = {str(one.parent) if len(one.parts) > 2 else str(one) for one in above - own}
        assert floor <= {"engramctl/errors.py", *FLOOR, "engramctl/runtime"}


def test_what_is_imported_by_a_name_in_a_string_is_a_command_or_a_public_name() -> None:
    """Elsewhere such an import would not be seen here."""
    users = Counter(
        (word, str(path.relative_to(ROOT)))
        for path in MODULES.values()
        for word in ("importlib", "runpy", "pkgutil", "__import__", "lazy_names")
        if re.search(rf"\b{word}\b", path.read_text())
    )
    public = ("hashing", "storage", "engramctl/checkpoints")
    assert set(users) == {
        ("importlib", "engramctl/cli.py"),
        ("importlib", "engramctl/runtime/kernel_cache.py"),  # looks for sources
        ("importlib", "engramctl/runtime/lazy_names.py"),
        ("importlib", "engramctl/machine/environment.py"),  # versions of libraries
        ("importlib", "hashing/kernels/choice.py"),  # is triton there?
        ("lazy_names", "engramctl/runtime/lazy_names.py"),
        *(("lazy_names", f"{package}/__init__.py") for package in public),
    }


def test_contributing_shows_the_house_as_it_is() -> None:
    shown = LINE.findall((ROOT / "CONTRIBUTING.md").read_text())
    assert shown == [(entry, sentence(entry)) for entry in HOUSE]


def private_imports(tree: ast.AST) -> list[str]:
    """Names of ours with one underscore in front that a file imports."""
    return [
        alias.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("engramctl")
        for alias in node.names
        if re.match(r"_[a-zA-Z]", alias.name)
    ]


def private_attributes(tree: ast.AST) -> list[str]:
    """The same of attributes; what is not ours has no say."""
    return [
        f"{owner}.{node.attr}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and re.match(r"_[a-z]", node.attr)
        if (owner := ast.unparse(node.value)) not in NOT_OURS
    ]


def test_no_file_takes_a_private_name_of_another() -> None:
    for path in MODULES.values():
        tree = ast.parse(path.read_text())
        modules = {
            alias.asname or alias.name
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
            if alias.name in MODULES or f"{getattr(node, 'module', None)}.{alias.name}" in MODULES
        }
        taken = [one for one in private_attributes(tree) if one.rpartition(".")[0] in modules]
        assert private_imports(tree) + taken == [], path


def test_no_test_reaches_into_a_private_name_or_into_another_test() -> None:
    """What tests share stands in a module of its own; the list of the house is here."""
    for path in sorted((ROOT / "tests").rglob("*.py")):
        tree = ast.parse(path.read_text())
        assert private_imports(tree) + private_attributes(tree) == [], path
        names = [
            f"{getattr(node, 'module', '')}.{alias.name}"
            for node in ast.walk(tree)
            if isinstance(node, ast.Import | ast.ImportFrom)
            for alias in node.names
        ]
        others = [name for name in names if re.search(r"\btests\.(.*\.)?test_", name)]
        assert others in ([], ["tests.test_imports.MODULES"]), path


def test_only_commands_and_the_sink_print() -> None:
    for path in MODULES.values():
        if room(path) in PRINTERS:
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call):
                called = ast.unparse(node.func)
                prints = re.fullmatch(r"print|(typer\.)?echo|(.*\.)?(stdout|stderr)\.write", called)
                assert not prints, f"{path} prints at line {node.lineno}"


@pytest.mark.parametrize("words", ["import engramctl.cli", "from engramctl.cli import run"])
def test_the_command_line_starts_without_heavy_imports(words: str) -> None:
    code = (
        f"{words}\nimport contextlib, io\nfrom engramctl.cli import COMMANDS, run\n"
        "with contextlib.redirect_stdout(io.StringIO()):\n"
        "    for name in ([], *([name] for name in COMMANDS)):\n"
        "        assert run([*name, '--help']) == 0"
    )
    assert loaded(code) == []


def test_public_packages_load_nothing_heavy_and_only_what_serves_rows_loads_torch() -> None:
    public = "import engramctl.hashing, engramctl.storage, engramctl.checkpoints"
    assert loaded(public) == []
    rest = [name for name in MODULES if name.startswith("engramctl.storage.")]
    rest = [
        name for name in rest if name.split(".")[2] not in ("tiers", "requests", "pinned", "device")
    ]
    assert "torch" not in loaded(f"import {', '.join(rest)}")


def loaded(code: str) -> list[str]:
    """Run code in a process of its own; return which of HEAVY it imported."""
    code += f"\nimport sys\nprint(*(name for name in {HEAVY!r} if name in sys.modules))"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return found.stdout.split()
