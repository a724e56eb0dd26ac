"""Rows from every tier inside a captured graph."""

import tempfile
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import numpy as np
import torch

from engramctl.model.graphed import captured
from engramctl.storage import Store, open_store
from engramctl.storage.reading.source import read_values
from engramctl.storage.requests.slot import Slot
from tests.benchmarks.gather import packed_table
from tests.benchmarks.harness import Row, interleave, row
from tests.gpu.gathers import POISON, wait

SLOTS = 20_000  # a head: 127 MB of f8_e4m3
STEP_ROWS = 48  # a token of DeepSeek-V4.1
BUDGET = 256 << 20
TIERS: Mapping[str, int | None] = {
    "gpu": None, "host": None, "ssd": BUDGET, "host:128MiB,ssd": None,
    "gpu:32MiB,host:128MiB,ssd": None,
}  # fmt: skip
ROUNDS = 200
WARM_S = 200e-6


def run() -> Iterator[Row]:
    """Yield a row a tier: a step's rows asked for, and its graph replayed."""
    device = torch.device("cuda", torch.cuda.current_device())
    with tempfile.TemporaryDirectory() as folder:
        path = packed_table(Path(folder) / "table", "f8_e4m3", SLOTS).path
        for tier, budget in TIERS.items():
            yield measured(path, tier, budget, device)


def measured(path: Path, tier: str, budget: int | None, device: torch.device) -> Row:
    """Measure one tier, warm."""
    with open_store(path, tier, budget, device=device, capture_slots=1) as store:
        return compared(store, ROUNDS)


def compared(store: Store, rounds: int) -> Row:
    """Time steps of a slot in a graph, beside tickets of the same rows without one.

    Raises:
        AssertionError: rows differ from the plain reader's.
    """
    layer, random = store.layers[0], np.random.default_rng(1)
    batches = random.integers(0, store.num_rows(layer), (8, 1, STEP_ROWS))
    turn = iter(range(1 << 30))
    with store.slot({layer: (1, STEP_ROWS)}) as slot:
        slot.prefetch({layer: batches[0]})
        replay = captured(partial(slot.wait, layer), store.device)  # on a GPU it runs once
        if store.device.type == "cpu":
            replay()
        for ids in (*batches, *batches):  # warm, and right
            checked(store, slot, layer, ids, replay)

        def in_graph() -> None:
            slot.prefetch({layer: batches[next(turn) % len(batches)]})
            replay()
            wait(store.device)

        def by_tickets() -> None:
            store.prefetch({layer: batches[next(turn) % len(batches)]}).wait(layer, slot.out[layer])
            wait(store.device)

        by_tickets()
        seconds = interleave({"ours": in_graph, "tickets": by_tickets}, rounds)
        checked(store, slot, layer, batches[3], replay)
    where = store.stats().rows_by_tier
    result = row(
        f"{STEP_ROWS} rows from {store.tier}, warm, inside a captured graph",
        f"{WARM_S * 1e6:.0f} us, from row ids on the CPU to rows on the device",
        seconds["ours"], [WARM_S], target=1.0,
        bound=f"rows by tier {where}; {store.engine_chosen_because or store.engine}",
    )  # fmt: skip
    return result | {"ticket_s": sorted(seconds["tickets"])[len(seconds["tickets"]) // 2]}


def checked(
    store: Store, slot: Slot, layer: int, ids: np.ndarray, replay: Callable[[], object]
) -> None:
    """A replay must give the plain reader's rows of the ids it was asked for."""
    slot.out[layer].fill_(POISON)
    slot.prefetch({layer: ids})
    replay()
    wait(store.device)
    expected = torch.from_numpy(read_values(store.table, layer, ids.ravel())).to(store.dtype)
    assert torch.equal(slot.out[layer].cpu().view(expected.shape), expected), "other rows"
