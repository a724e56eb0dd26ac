"""Compiled code is kept where only we can write, and never outlives a source it was made of."""

import ast
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.runtime.kernel_package import CALLER, HELPER, Package
from tests.test_imports import MODULES


@pytest.fixture
def package(tmp_path: Path) -> Package:
    return Package(tmp_path)


def test_the_next_process_loads_what_one_compiled(package: Package) -> None:
    first, second = package.run(), package.run()
    assert (first["value"], first["hits"]) == (20, 0)
    assert (second["value"], second["hits"]) == (20, 1)
    assert Path(first["folder"]).parent == package.bytecode


@pytest.mark.parametrize(
    ("file", "text", "value"),  # of other sizes: Python itself stamps by size and whole seconds
    [("helper", HELPER.replace("+ 1", "+ 1 + 1"), 30), ("limits", "TOP = 7 * 10\n", 140)],
)
def test_an_edit_in_another_file_is_seen_by_the_next_process(
    file: str, text: str, value: int, package: Package
) -> None:
    assert package.run()["value"] == 20
    package.write(file, text)
    assert package.run()["value"] == value
    assert package.run()["hits"] == 1


def test_an_edit_of_what_is_never_compiled_keeps_the_kernels(package: Package) -> None:
    before = package.run()
    package.write("other", "WORDS = 22\n")
    assert package.run() == {**before, "hits": 1}


def test_folders_of_older_sources_do_not_pile_up(package: Package) -> None:
    for number in range(1, 8):
        package.write("limits", f"TOP = {10**number}\n")
        folder = package.run()["folder"]
        os.utime(folder, (number, number))
    assert len(list(package.bytecode.glob("engramctl-*"))) == 4
    assert Path(folder).is_dir()


def loose(folder: Path) -> None:
    folder.chmod(0o777)


def linked(folder: Path) -> None:
    folder.rename(folder.with_name("moved"))
    folder.symlink_to("moved")


@pytest.mark.parametrize("spoil", [loose, linked])
def test_a_folder_that_others_may_have_written_is_not_used(
    spoil: Callable[[Path], None], package: Package
) -> None:
    package.run()
    for part in (package.bytecode, package.home / ".cache" / "engramctl"):
        before = Path(package.run()["folder"])
        assert part in before.parents
        spoil(before)
        found = package.run()
        assert found["folder"] != str(before)
        assert (found["value"], found["hits"]) == (20, 0)
    assert found["folder"] is None


def test_a_folder_of_another_owner_is_not_used(
    package: Package, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = package.run()
    somebody = os.geteuid() + 1
    package.write("__init__", f"import os\nos.geteuid = lambda: {somebody}\n")
    assert package.run() == {**before, "folder": None, "hits": 0}


def test_the_users_cache_is_taken_when_the_package_cannot_be_written(package: Package) -> None:
    package.close_bytecode()
    folder = Path(package.run()["folder"])
    assert folder.parent == package.home / ".cache" / "engramctl"
    assert [path.stat().st_mode & 0o777 for path in (folder, *folder.parents[:2])] == [0o700] * 3
    assert package.run()["hits"] == 1
    chosen = package.room / "cache"
    assert Path(package.run(XDG_CACHE_HOME=chosen)["folder"]).parent == chosen / "engramctl"


def test_a_users_cache_that_anyone_may_exchange_is_not_used(package: Package) -> None:
    package.close_bytecode()
    package.home.chmod(0o777)
    assert package.run()["folder"] is None
    package.home.chmod(0o1777)  # as a temporary folder: only its owner may rename what is there
    assert package.run()["folder"] is not None


def test_a_folder_the_user_names_is_used(package: Package) -> None:
    chosen = package.room / "mine" / "kernels"
    assert Path(package.run(NUMBA_CACHE_DIR=chosen)["folder"]).parent == chosen
    assert package.run(NUMBA_CACHE_DIR=chosen)["hits"] == 1
    package.write("limits", "TOP = 3\n")
    assert package.run(NUMBA_CACHE_DIR=chosen)["value"] == 6


def test_kernels_compile_without_any_folder_and_nothing_lands_in_the_temporary_one(
    package: Package,
) -> None:
    package.close_bytecode()
    temporary = package.room / "tmp"
    temporary.mkdir()
    found = package.run(HOME=package.room / "none", TMPDIR=temporary)
    assert found == {"value": 20, "folder": None, "hits": 0}
    assert not list(temporary.iterdir())
    assert not (package.room / "none").exists()


def test_compiled_code_that_was_cut_short_is_compiled_again(package: Package) -> None:
    for file in Path(package.run()["folder"]).iterdir():
        file.write_bytes(file.read_bytes()[:40])
    assert package.run()["value"] == 20
    assert package.run()["hits"] == 1


def test_code_of_another_signature_is_never_run(package: Package) -> None:
    package.write("caller", CALLER + "\nassert run(0.5) == 15\n")
    folder = Path(package.run()["folder"])
    assert package.run()["hits"] == 2
    first, second = sorted(folder.glob("*.nbc"))
    spare = first.with_suffix(".spare")
    for old, new in ((first, spare), (second, first), (spare, second)):
        old.rename(new)  # as two processes may leave them that saved at the same time
    assert package.run()["value"] == 20


def test_a_full_disk_of_the_cache_is_no_error(package: Package) -> None:
    with (package.folder / "__init__.py").open("a") as file:
        file.write("import resource\nresource.setrlimit(resource.RLIMIT_FSIZE, (8, 8))\n")
        file.write("import signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)\n")
    assert package.run()["value"] == 20


CALLBACK = """
import ctypes, types
from numba import int64
from numba.core.ccallback import CFunc
from engramctl.runtime.kernel_cache import c_callback
from engramctl.limits import TOP

compile_now, compiled = CFunc._compile_uncached, []
CFunc._compile_uncached = lambda self: compiled.append(1) or compile_now(self)

def times(x):
    return x * TOP

run = ctypes.CFUNCTYPE(ctypes.c_int64, ctypes.c_int64)(c_callback(int64(int64), times))
assert c_callback(int64(int64), times) == ctypes.cast(run, ctypes.c_void_p).value
run.stats = types.SimpleNamespace(cache_hits={0: 1 - len(compiled)})
"""


def test_what_c_calls_is_kept_like_kernels(package: Package) -> None:
    package.write("caller", CALLBACK)
    first, second = package.run(), package.run()
    assert (first["value"], first["hits"]) == (10, 0)
    assert (second["value"], second["hits"]) == (10, 1)
    package.write("limits", "TOP = 7 * 10\n")
    assert package.run()["value"] == 70


def test_every_kernel_goes_through_this_door() -> None:
    for module, path in MODULES.items():
        if module == "engramctl.runtime.kernel_cache":
            continue
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("numba"):
                names = {alias.name for alias in node.names}
                assert not names & {"njit", "jit", "cfunc", "vectorize", "guvectorize"}, module
            elif isinstance(node, ast.Import):
                assert "numba" not in {alias.name for alias in node.names}, module


def test_a_command_says_that_no_folder_keeps_its_kernels(tmp_path: Path) -> None:
    lines = tmp_path / "ids.jsonl"
    lines.write_text("[1, 2, 3]\n")
    code = (
        "import engramctl.runtime.kernel_cache as k, sys\nk.kernel_folder = lambda: None\n"
        "from engramctl.cli import run\nsys.exit(run(sys.argv[1:]))"
    )
    words = ["rows", str(lines), "--scheme", "engram", "--slots", "97"]
    found = subprocess.run(
        [sys.executable, "-c", code, *words], capture_output=True, text=True, check=True
    )
    assert found.stderr.count("no folder to keep them in") == 1


@pytest.mark.parametrize("words", [("--version",), ("--help",), ("mine", "--help")])
def test_help_needs_neither_home_nor_a_passwd_entry(words: tuple[str, ...], tmp_path: Path) -> None:
    code = (
        "import pwd, sys\ndef nobody(*_): raise KeyError('uid not found')\npwd.getpwuid = nobody\n"
        "from engramctl.cli import run\nsys.exit(run(sys.argv[1:]))"
    )
    hidden = ("HOME", "XDG_CACHE_HOME", "NUMBA_CACHE_DIR")
    environment = {name: value for name, value in os.environ.items() if name not in hidden}
    done = subprocess.run(
        [sys.executable, "-c", code, *words],
        env={**environment, "PYTHONPATH": str(ROOT)}, cwd=tmp_path,
        capture_output=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
