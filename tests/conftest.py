"""Fixtures every test may use: golden vectors and the command line in process."""

import contextlib
import io
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from engramctl.cli import run

ROOT = Path(__file__).parents[1]

# A shared machine may stop for longer than any deadline; what takes long is seen in the durations.
settings.register_profile("engramctl", deadline=None)
settings.load_profile("engramctl")


def pytest_report_header() -> str:
    import numba
    import torch

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
