"""Fixtures every test may use: golden vectors and the command line in process."""

import contextlib
import io
import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import settings

from engramctl.cli import run
from engramctl.storage.io.gather_threads import chosen_gather_threads, set_gather_threads

ROOT = Path(__file__).parents[1]

# A shared machine may stop for longer than any deadline; what takes long is seen in the durations.
settings.register_profile("engramctl", deadline=None)
settings.load_profile("engramctl")


def pytest_report_header() -> str:
    import numba

    return f"numba {numba.__version__}, torch {torch.__version__}, golden {golden_folder()}"


def golden_folder() -> Path:
    return Path(os.environ.get("ENGRAMCTL_GOLDEN_DIR") or ROOT / "tests" / "golden")


def golden(name: str) -> Any:
    """Read one golden file, e.g. `golden("engram_v41_hash")`; usable in parametrize."""
    return json.loads((golden_folder() / f"{name}.json").read_text())


@dataclass(frozen=True)
class CliResult:
    exit_code: int
    stdout: str
    stderr: str

    @property
    def json(self) -> Any:
        return json.loads(self.stdout)


@pytest.fixture(scope="session")
def _counts_at_first() -> tuple[int, int | None]:
    return _counts_of_threads()


@pytest.fixture(autouse=True)
def _counts_of_threads_are_set_back(_counts_at_first: tuple[int, int | None]) -> Iterator[None]:
    """What a process has once is as it was after every test: others may run next, in any order."""
    yield
    left = _counts_of_threads()
    if left != _counts_at_first:
        torch.set_num_threads(_counts_at_first[0])
        set_gather_threads(_counts_at_first[1])
    assert left == _counts_at_first


def _counts_of_threads() -> tuple[int, int | None]:
    return torch.get_num_threads(), chosen_gather_threads()


RunCli = Callable[..., CliResult]


def run_in_process(*arguments: object) -> CliResult:
    """Run one command line in this process."""
    stdout, stderr = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(stdout), contextlib.redirect_stderr(stderr):
        code = run([str(argument) for argument in arguments])
    return CliResult(code, stdout.getvalue(), stderr.getvalue())


@pytest.fixture
def run_cli() -> RunCli:
    """Give `run_cli("verify", path, "--json")`."""
    return run_in_process
