"""A small file that asks for much is refused in little memory, by every command that reads it."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.bombs import BOMBS
from tests.conftest import ROOT


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Any]]:
    """What every reader did with every bomb, in a process of little memory."""
    ran = subprocess.run(
        [sys.executable, "-m", "tests.bombs", tmp_path_factory.mktemp("bombs")],
        cwd=ROOT, capture_output=True, text=True, timeout=900, check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stderr[-2000:]
    found: dict[str, list[Any]] = json.loads(ran.stdout)
    return found


@pytest.mark.parametrize("name", BOMBS)
def test_it_is_refused_and_nothing_else_happens(ended: dict[str, list[Any]], name: str) -> None:
    assert ended[name]
    for command, exit_code, end in ended[name]:
        assert exit_code in (1, 2, 3), (command, exit_code, end)
        assert "Traceback" not in end
