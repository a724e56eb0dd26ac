"""Tables made by the command."""

from pathlib import Path

import pytest

from tests.conftest import RunCli
from tests.helpers.small_table import SMALL_BUILD


@pytest.fixture
def tables(run_cli: RunCli, tmp_path: Path) -> Path:
    assert run_cli("build", *SMALL_BUILD, "-q", "-o", tmp_path / "tables").exit_code == 0
    return tmp_path / "tables"
