"""A store's row caches, filled with the rows that a corpus reads most."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from engramctl.counts.accesses import Accesses
from engramctl.counts.warm import warm_from_counts
from engramctl.errors import ConfigError, FormatError
from engramctl.storage import Store, open_store
from tests.helpers.corpora import write_ids
from tests.helpers.mined_counts import run
from tests.helpers.small_table import small_table

LINES = [[k % 37 for k in range(400)], [1, 2, 3] * 40]


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_table(tmp_path_factory.mktemp("warm") / "shards", slots=600, tier="ssd").path


@pytest.fixture(scope="module")
def counts(shards: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("counts")
    corpus = write_ids(folder / "corpus.parquet", LINES)
    run("mine", corpus, "--scheme", shards, "--orders", "2,3,4", "-o", folder / "counts")
    return folder / "counts"


def missed(store: Store, rows: dict[int, NDArray[np.int64]]) -> int:
    """Gather rows; return how many of them no cache had."""
    before = store.stats().cache_misses
    for layer, ids in rows.items():
        store.gather(layer, ids)
    return store.stats().cache_misses - before


@pytest.mark.parametrize(
    "words", [{"tier": "host:8KiB,ssd"}, {"budget_bytes": 2 << 20, "cache_bytes": 8 << 10}]
)
def test_the_most_read_rows_are_kept(shards: Path, counts: Path, words: dict[str, object]) -> None:
    with open_store(shards, **words) as store:  # type: ignore[arg-type]
        warm_from_counts(store, str(counts))
        num_rows = {layer: store.num_rows(layer) for layer in store.layers}
        most = Accesses(counts, num_rows).most_read(store.cache_capacity)
        kept = store.stats()
        assert kept.cache_rows == sum(map(len, most.values())) == store.cache_capacity
        assert kept.cache_hits == kept.cache_misses == 0
        assert missed(store, most) == 0


@pytest.mark.parametrize("tier", ["ssd", "host"])
def test_a_tier_without_a_row_cache_is_not_filled(shards: Path, counts: Path, tier: str) -> None:
    with (
        open_store(shards, tier) as store,
        pytest.raises(ConfigError, match=f"the {tier} tier has no row cache") as refused,
    ):
        warm_from_counts(store, counts)
    assert "host:1GiB,ssd" in str(refused.value.hint)


def test_counts_of_another_table_are_refused(counts: Path, tmp_path: Path) -> None:
    other = small_table(tmp_path / "other", slots=700, tier="ssd").path
    with open_store(other, "host:8KiB,ssd") as store:
        with pytest.raises(ConfigError, match="rows of another table"):
            warm_from_counts(store, counts)
        with pytest.raises(FormatError):
            warm_from_counts(store, tmp_path)
