"""Streams and folders that are full, closed or gone: an exit code and a line, never a traceback."""

import errno
import os
import pty
import subprocess
import sys
import termios
from pathlib import Path

import pytest
import torch

from engramctl.storage.files.system_errors import from_system
from tests.conftest import ROOT, RunCli
from tests.helpers.small_table import small_table

ENVIRONMENT = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": ""}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("streams") / "tables"
    small_table(folder)
    return folder


def shell(line: str, *words: object, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    """Run a line of bash in which `engramctl` is this checkout's; $1, $2, .. are `words`."""
    function = f'engramctl() {{ "{sys.executable}" -m engramctl "$@"; }}\n'
    return subprocess.run(
        ["bash", "-o", "pipefail", "-c", function + line, "bash", *map(str, words)],
        cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.parametrize(
    "words", ["--version", "--help", 'inspect "$1"', 'inspect "$1" --json', 'inspect "$1" -q']
)
def test_a_full_stdout_is_one_clear_error(words: str, table: Path) -> None:
    done = shell(f"engramctl {words} > /dev/full", table)
    assert done.returncode == 1
    assert done.stderr.startswith("Error: cannot use standard output: No space left on device\n")
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", ["--help", 'inspect "$1"', 'inspect "$1" --json'])
def test_a_reader_that_has_seen_enough_is_told_nothing(words: str, table: Path) -> None:
    done = shell(f"engramctl {words} | true", table)
    assert (done.returncode, done.stderr) == (1, "")


@pytest.mark.parametrize("closing", ["2>&-", "2> /dev/full", ">&- 2>&-", "<&- >&- 2>&-", "<&-"])
def test_the_work_is_done_whatever_becomes_of_the_streams(
    closing: str, table: Path, tmp_path: Path
) -> None:
    done = shell(f'engramctl layout "$1" -o "$2" {closing}', table, tmp_path / "shards")
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    for file in (tmp_path / "shards").iterdir():
        assert b"layer   rows" not in file.read_bytes()[:4096]  # printed into a file of ours
    assert shell('engramctl verify "$1" -q', tmp_path / "shards").returncode == 0


def test_an_error_keeps_its_exit_code_without_a_stderr(tmp_path: Path) -> None:
    for closing in ("2>&-", "2> /dev/full"):
        assert shell(f"engramctl env --nonsense {closing}").returncode == 2
        assert shell(f'engramctl inspect "$1" {closing}', tmp_path / "none").returncode == 1


def test_a_deleted_working_folder_is_named(tmp_path: Path) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    done = shell(f'rmdir "{gone}"; engramctl env', cwd=gone)
    assert done.returncode == 1
    assert "working folder does not exist" in done.stderr
    assert "Traceback" not in done.stderr


LONG = "n" * 300


@pytest.mark.parametrize(
    "words",
    [
        ("inspect", LONG),
        ("verify", LONG),
        ("layout", LONG, "-o", "x"),
        ("layout", "$TABLE", "-o", LONG),
        ("export", LONG, "-o", "x"),
        ("rows", LONG, "--scheme", "engram"),
        ("rows", "--scheme", LONG + ".json"),
        ("rows", "$TABLE", "--scheme", "engram"),
        ("build", "--scheme", LONG + ".json", "-o", "x"),
        ("build", "--tokenizer", LONG, "-o", "x"),
        ("build", "--config", LONG, "-o", "x"),
        ("bench", LONG),
        ("bench", "$TABLE", "--trace", LONG),
        ("env", LONG),
        ("inspect", "a" + "/a" * 3000),
        ("inspect", "$TABLE/manifest.json/below"),
    ],
)
def test_a_name_that_cannot_be_is_a_users_mistake(
    words: tuple[str, ...], table: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:  # fmt: skip
    monkeypatch.chdir(tmp_path)
    result = run_cli(*(word.replace("$TABLE", str(table)) for word in words))
    assert result.exit_code in (1, 2), result.stderr
    assert "Error: " in result.stderr
    assert "Traceback" not in result.stderr


def test_names_that_are_not_utf8_are_used_and_shown_escaped(table: Path, tmp_path: Path) -> None:
    strange = os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff")
    assert shell('engramctl layout "$1" -o "$2" -q', table, strange).returncode == 0
    for words in ("verify", "inspect", "inspect --json", "layout -o other --dry-run"):
        verb, *options = words.split()
        done = shell(f'engramctl {verb} "$1" {" ".join(options)}', strange, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert r"bad\udcff" in done.stdout or verb == "layout"


@pytest.mark.parametrize(
    "number",
    [errno.EACCES, errno.ENAMETOOLONG, errno.ENOENT, errno.ENOSPC, errno.EIO, errno.EMFILE],
)
def test_what_the_machine_refuses_is_an_error_of_ours(
    number: int, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number), "some/file")

    monkeypatch.setattr("engramctl.machine.environment.capture", fail)
    result = run_cli("env")
    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: cannot use some/file: {os.strerror(number)}\n")


def test_too_little_memory_is_an_error_of_ours(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise MemoryError("unable to allocate 7 EiB")

    monkeypatch.setattr("engramctl.machine.environment.capture", fail)
    result = run_cli("env")
    assert result.exit_code == 1
    assert "7 EiB" in result.stderr


def test_a_fault_of_our_own_stays_a_bug() -> None:
    assert from_system(OSError(errno.EBADF, "Bad file descriptor")) is None
    assert from_system(OSError(errno.EINVAL, "Invalid argument", "x")) is None
    assert from_system(OSError("no number")) is None
    assert from_system(RuntimeError("mat1 and mat2 shapes cannot be multiplied")) is None


def test_memory_that_torch_does_not_get_is_no_bug() -> None:
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 58, dtype=torch.uint8)
    told = from_system(caught.value)
    assert told is not None
    assert "not enough memory" in told.message
    assert from_system(UnicodeEncodeError("ascii", "é", 0, 1, "not in range")) is None


def test_an_error_in_a_terminal_is_broken_between_words(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 60))
    with open(tmp_path / "out", "wb") as out:
        done = subprocess.run(
            [sys.executable, "-m", "engramctl", "rows", "--scheme", "engarm"],
            env=ENVIRONMENT, stdin=subprocess.DEVNULL, stdout=out, stderr=theirs, check=False,
        )  # fmt: skip
    os.close(theirs)
    lines = os.read(ours, 1 << 16).decode().splitlines()
    os.close(ours)
    assert done.returncode == 2
    known = [line for line in lines if "engramctl" not in line]
    assert max(map(len, known)) <= 60
    assert any(line.startswith(" " * 9) for line in known)
