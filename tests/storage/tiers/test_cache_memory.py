"""A row cache that needs more memory than there is is refused when it is opened."""

from pathlib import Path

import numpy as np
import pytest

from engramctl.errors import StorageError
from engramctl.storage import open_store
from engramctl.storage.tiers import ssd
from tests.helpers.forked import in_child
from tests.storage.tables import make_plan, write

ROWS = 20_000
AVAILABLE = 1 << 20  # less than all of them


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("memory") / "t"
    write(make_plan(form="packed", row_dim=64, rows={1: ROWS}), path)
    return path


@pytest.fixture(autouse=True)
def little_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssd, "available_bytes", lambda: AVAILABLE)


@pytest.mark.parametrize(
    ("tier", "cache_bytes"),
    [("host:1100KiB,ssd", None), ("ssd", 1_126_400), ("host:2TiB,ssd", None)],
)
def test_a_row_cache_that_would_not_fit_is_refused_before_it_fills(
    folder: Path, tier: str, cache_bytes: int | None
) -> None:
    with pytest.raises(StorageError, match=f"row cache of {tier} does not fit") as refused:
        open_store(folder, tier, cache_bytes=cache_bytes)
    assert refused.value.facts["available"] == f"{AVAILABLE:,} bytes"
    assert "host:SIZE" in str(refused.value.hint)


def test_no_more_than_all_rows_need_must_fit(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ssd, "available_bytes", lambda: 64 << 20)
    with open_store(folder, "host:200MiB,ssd") as store:
        assert store.cache_capacity == ROWS


def test_a_child_goes_on_with_what_its_parent_had(folder: Path) -> None:
    with open_store(folder, "host:900KiB,ssd") as store:
        want = store.gather(1, np.arange(50))
        assert in_child(lambda: bool((store.gather(1, np.arange(50)) == want).all())) == 0
