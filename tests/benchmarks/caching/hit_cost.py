"""What a row costs that the row cache has, against a row that is mapped and in memory.

The same rows in one process, in turn: `gather`, and `prefetch` with `wait`. Rows asked for are
spread over the whole table, which is larger than the processor's caches; no arm reads the disk.
"""

from collections.abc import Callable
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.storage import Store, open_store
from engramctl.storage.reading.table import TableFiles
from engramctl.storage.tiers.ssd import SsdStore
from tests.benchmarks.cold.table import SPEC
from tests.benchmarks.cold.warm import each, gather
from tests.benchmarks.harness import Row, interleave, row

SIZES = {48: 200, 8192: 4}  # rows a call: calls a round
DEAREST = 1.5
SPARE_BYTES = 512 << 20  # of the budget, for rows on their way
FILL_ROWS = 1 << 16
PEER = "warm mapped rows"


def hit_costs(table: TableFiles, rounds: int) -> list[Row]:
    """Time both.

    Args:
        table: of records, one layer.
        rounds: pairs of each.
    """
    layer = table.layers[0]
    num_rows = table.num_rows(layer)
    cache_bytes = num_rows * (SPEC.record_bytes + 64)
    random = np.random.default_rng(8)
    made = []
    with (
        open_store(table.path, "ssd") as mapped,
        open_store(
            table.path, "ssd", budget_bytes=cache_bytes + SPARE_BYTES, cache_bytes=cache_bytes
        ) as cached,
    ):
        assert isinstance(mapped, SsdStore)
        mapped.populate()
        filled(cached, layer, num_rows)
        for size, calls in SIZES.items():
            ids = random.integers(0, num_rows, (calls, size))
            made += of_size(cached, mapped, layer, ids, rounds)
    return made


def filled(store: Store, layer: int, num_rows: int) -> None:
    """Ask for every row once, so that a cache with room for all has all."""
    for start in range(0, num_rows, FILL_ROWS):
        store.gather(layer, np.arange(start, min(start + FILL_ROWS, num_rows)))
    assert store.stats().cache_rows == num_rows, "the cache does not hold every row"


def of_size(
    cached: Store, mapped: Store, layer: int, ids: NDArray[np.int64], rounds: int
) -> list[Row]:
    """Time calls of one size, both ways to ask."""
    calls, size = ids.shape
    outs = {
        name: torch.empty(size, SPEC.row_dim, dtype=torch.bfloat16) for name in ("ours", "theirs")
    }
    stores = {"ours": cached, "theirs": mapped}
    made = []
    for way, ask in {"gather": gather, "prefetch and wait": prefetch_wait}.items():
        arms: dict[str, Callable[[], object]] = {
            name: partial(each, partial(ask, store, layer, outs[name]), ids)
            for name, store in stores.items()
        }
        for name, arm in arms.items():
            outs[name].fill_(-3.0e38)
            arm()
        assert torch.equal(outs["ours"], outs["theirs"]), "other rows"
        before = cached.stats()
        seconds = interleave(arms, rounds)
        after = cached.stats()
        assert after.device_reads == before.device_reads, "a row was not in the cache"
        assert after.cache_misses == before.cache_misses, "a row was not in the cache"
        made.append(
            row(f"{way} of {size:,} rows that the row cache has", PEER, seconds["ours"],
                seconds["theirs"], target=1 / DEAREST, work=calls * size, unit="rows/s",
                bound=f"{after.cache_rows:,} rows in memory; no device read")
        )  # fmt: skip
    return made


def prefetch_wait(store: Store, layer: int, out: torch.Tensor, ids: NDArray[np.int64]) -> None:
    """A ticket, and its rows."""
    store.prefetch({layer: ids}).wait(layer, out)
