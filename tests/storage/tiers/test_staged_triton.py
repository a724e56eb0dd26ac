"""Staged rows by Triton's kernels, interpreted: they wait for words that a thread writes."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.storage.tables import make_plan, write


def test_kernels_that_wait_find_their_rows(tmp_path: Path) -> None:
    pytest.importorskip("triton", reason="needs triton, which CPU builds of torch do not bring")
    plan = make_plan(form="paged", dtype="f8_e4m3", row_dim=64, rows={1: 3000})
    write(plan, tmp_path / "t")
    ended = subprocess.run(
        [sys.executable, "-m", "tests.storage.tiers.staged_interpreted", str(tmp_path / "t")],
        cwd=ROOT, env={**os.environ, "TRITON_INTERPRET": "1"}, capture_output=True, text=True,
        check=False, timeout=300,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    lines = ended.stdout.splitlines()
    assert len(lines) == 7
    assert [line for line in lines if not line.endswith(": same")] == []
