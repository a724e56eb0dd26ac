"""What the split costs where nothing is missed: rows that a row cache has, against the host tier.

`host:SIZE,ssd` has a row cache in RAM over the files, `host` the whole table: the same rows in one
process, call by call in turn. Rows are drawn anew for every call, so that neither arm finds them
where the call before left them; rows of text repeat as text does.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.storage import Store, open_store
from engramctl.storage.tiers.ssd import SsdStore
from tests.benchmarks.caching.hit_cost import prefetch_wait
from tests.benchmarks.caching.tables import scattered
from tests.benchmarks.caching.texts import Texts
from tests.benchmarks.caching.traces import row_ids
from tests.benchmarks.cold.table import SPEC, make
from tests.benchmarks.cold.warm import gather
from tests.benchmarks.harness import Row, interleave, row

SIZES = {24: 40, 48: 40, 512: 20, 4096: 5, 8192: 4, 49152: 1}  # rows a call: calls a round
DEAREST = 1.1
LAYER = 1
PEER = "host tier"
FILLED = 0.95  # of the cache's rows are asked for
FILL_ROWS = 1 << 16
POISON = -3.0e38
CHECKED = 5  # of so many calls the rows of one are compared
Draw = Callable[[int, int], NDArray[np.int64]]


def hit_split(
    served: Texts, folder: Path, num_rows: int, cache_bytes: int, tokens: int, rounds: int
) -> list[Row]:
    """Time `gather`, and `prefetch` with `wait`, of rows that are all in the cache.

    Args:
        served: texts; the rows of the first one are asked for.
        folder: for the table.
        num_rows: of the table, which the host tier holds.
        cache_bytes: of the row cache.
        tokens: of the text.
        rounds: as many pairs of each as `SIZES` has calls.
    """
    table = make(folder / "split", "packed", num_rows, (LAYER,))
    made = []
    with (
        open_store(table.path, "host") as host,
        open_store(table.path, f"host:{cache_bytes},ssd") as cached,
    ):
        assert isinstance(cached, SsdStore)
        stores: dict[str, Store] = {"ours": cached, "theirs": host}
        random = np.random.default_rng(20)
        for name, wanted, draw in (
            uniform(random, num_rows, cache_bytes), of_text(random, served, num_rows, tokens)
        ):  # fmt: skip
            cached.drop()
            filled(cached, wanted)
            for size, calls in SIZES.items():
                made += of_size(stores, name, draw, rounds * calls, size)
    return made


def uniform(
    random: np.random.Generator, num_rows: int, cache_bytes: int
) -> tuple[str, NDArray[np.int64], Draw]:
    """Rows of which each is as likely as any other: nothing is in the processor's caches."""
    most = int(FILLED * cache_bytes / (SPEC.record_bytes + 32))
    wanted = random.permutation(num_rows)[:most]
    return "random rows", wanted, lambda calls, size: random.choice(wanted, (calls, size))


def of_text(
    random: np.random.Generator, served: Texts, num_rows: int, tokens: int
) -> tuple[str, NDArray[np.int64], Draw]:
    """Rows of text, position by position, of one layer, scattered over the table."""
    columns = {LAYER: list(range(len(served.scheme.orders) * served.scheme.heads_per_order))}
    rows = row_ids(served.scheme, served.domains[0].first(tokens), columns)
    flat = scattered(rows.reshape(-1), LAYER, num_rows)

    def draw(calls: int, size: int) -> NDArray[np.int64]:
        places = random.integers(0, (len(flat) - size) // rows.shape[1], calls) * rows.shape[1]
        return np.stack([flat[at : at + size] for at in places.tolist()])

    return "rows of text", np.unique(flat), draw


def filled(store: Store, wanted: NDArray[np.int64]) -> None:
    """Ask for rows once, so that a cache with room for them has them."""
    for start in range(0, len(wanted), FILL_ROWS):
        store.gather(LAYER, wanted[start : start + FILL_ROWS])
    assert store.stats().cache_rows == len(wanted), "the cache does not hold every row"


def of_size(stores: dict[str, Store], name: str, draw: Draw, calls: int, size: int) -> list[Row]:
    """Time calls of one size, both ways to ask."""
    made = []
    shape = size, SPEC.row_dim
    outs = {one: torch.full(shape, POISON, dtype=torch.bfloat16) for one in stores}
    for way, ask in {"gather": gather, "prefetch and wait": prefetch_wait}.items():
        seconds: dict[str, list[float]] = {one: [] for one in stores}
        before = stores["ours"].stats()
        for number, ids in enumerate(draw(calls, size)):
            turn = list(stores) if number % 2 else list(stores)[::-1]
            arms: dict[str, Callable[[], object]] = {
                one: partial(ask, stores[one], LAYER, outs[one], ids) for one in turn
            }
            for one, took in interleave(arms, 1).items():
                seconds[one] += took
            if number % CHECKED == 0:
                assert torch.equal(outs["ours"], outs["theirs"]), "other rows"
                for out in outs.values():
                    out.fill_(POISON)
        after = stores["ours"].stats()
        assert after.device_reads == before.device_reads, "a row was not in the cache"
        assert after.cache_misses == before.cache_misses, "a row was not in the cache"
        made.append(
            row(f"{way} of {size:,} {name} that the row cache has", PEER, seconds["ours"],
                seconds["theirs"], target=1 / DEAREST, work=size, unit="rows/s",
                bound=f"{after.cache_rows:,} rows in the cache; no device read")
        )  # fmt: skip
    return made
