"""Numbers beyond all reason are mistakes of the user's, told before anything is made."""

from pathlib import Path

import pytest

from tests.conftest import RunCli
from tests.helpers.corpora import write_ids


@pytest.mark.parametrize(
    "line",
    [
        f"mine a.parquet -o c --min-count {2**70}",
        f"mine a.parquet -o c --top-k {2**70}",
        f"bench t --samples {2**70}",
        f"bench t --batch {2**62}",
        f"bench t --tokens {2**62}",
        f"bench t --context {2**62}",
        f"bench t --seed {2**70}",
        "bench t --seed -1",
    ],
)
def test_they_are_refused(
    tmp_path: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_ids(tmp_path / "a.parquet", [[1, 2, 3]])
    result = run_cli(*line.split())
    assert result.exit_code == 2
    assert line.split()[-2].strip("-").partition("-")[0] in result.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["a.parquet"]
