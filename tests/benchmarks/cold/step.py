"""A decode step whose rows are all on the disk: 48 rows of two layers, asked for and waited for."""

from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from statistics import median

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.storage import open_store
from engramctl.storage.reading.table import TableFiles
from engramctl.storage.record.codecs import decode
from engramctl.storage.tiers.ssd import SsdStore
from engramctl.storage.tiers.store import Store
from tests.benchmarks.cold.table import LAYERS, SPEC, Rows, mapped, paired
from tests.benchmarks.cold.uring_reader import UringReader
from tests.benchmarks.harness import Row, row, skipped

A_LAYER = 24
BUDGET_BYTES = 64 << 20
HAND, FAULTS = "hand-written io_uring reader, O_DIRECT, depth 64", "serial faults of a RANDOM map"
OURS = {"direct": BUDGET_BYTES, "mapped": None}


def steps(table: TableFiles, folder: Path, samples: int, device: str) -> list[Row]:
    """Both modes against the hand-written reader and serial faults.

    Args:
        table: paged, a file a layer.
        folder: for the compiled reader.
        samples: steps of each.
        device: what the disk can do, for the rows' bounds.
    """
    random = np.random.default_rng(1)
    num_rows = table.num_rows(LAYERS[0])
    with ExitStack() as stack:
        files = stack.enter_context(mapped(table))
        outs = {layer: torch.empty(A_LAYER, SPEC.row_dim, dtype=torch.bfloat16) for layer in LAYERS}
        records = np.empty((A_LAYER * len(LAYERS), SPEC.record_bytes), np.uint8)
        arms: dict[str, Callable[[Rows], None]] = {}
        for mode, budget in OURS.items():
            store = stack.enter_context(open_store(table.path, "ssd", budget_bytes=budget))
            arms[mode] = partial(step, store, outs)
            if mode == "mapped":
                assert isinstance(store, SsdStore)
                through_cache = store
        why = None
        try:
            reader = UringReader([one.path for one in files.values()],
                                 [one.first for one in files.values()], folder)  # fmt: skip
            stack.callback(reader.close)
            arms[HAND] = hand_written(reader, records)
        except RuntimeError as error:
            why = str(error)

        def faults(rows: Rows) -> None:
            for number, (layer, ids) in enumerate(rows.items()):
                records[number * A_LAYER : (number + 1) * A_LAYER] = files[layer].take(ids)

        arms[FAULTS] = faults

        def draw() -> Rows:
            return {layer: random.integers(0, num_rows, A_LAYER) for layer in LAYERS}

        def before(name: str, rows: Rows) -> None:
            records[:] = 0xA5
            for out in outs.values():
                out.fill_(-3.0e38)
            through_cache.drop(rows)
            for layer, ids in rows.items():
                files[layer].make_cold(ids)

        def after(name: str, rows: Rows) -> None:
            for number, (layer, ids) in enumerate(rows.items()):
                stored = files[layer].take(ids)
                if name in OURS:
                    expected = torch.from_numpy(decode(SPEC, stored)).to(torch.bfloat16)
                    assert torch.equal(outs[layer], expected), f"{name} returns other rows"
                else:
                    found = records[number * A_LAYER : (number + 1) * A_LAYER]
                    assert np.array_equal(found, stored), f"{name} returns other rows"

        seconds = paired(arms, samples, draw, before, after)
    made = []
    for mode in OURS:
        for peer, target in ((HAND, 1 / 1.1), (FAULTS, 3.5)):
            what = f"cold step of 48 rows, auto {mode}"
            if peer not in seconds:
                made.append(skipped(what, peer, why or "", target))
                continue
            pairs = median(b / a for a, b in zip(seconds[mode], seconds[peer], strict=True))
            limit = ""
            if peer == FAULTS and HAND in seconds:
                limit = f"; that reader {median(seconds[FAULTS]) / median(seconds[HAND]):.2f}"
            bound = f"paired {pairs:.2f}{limit}; {device}"
            made.append(row(what, peer, seconds[mode], seconds[peer], target=target, bound=bound))
    return made


def step(store: Store, outs: dict[int, torch.Tensor], rows: Rows) -> None:
    """One step by a store."""
    ticket = store.prefetch(rows)
    for layer, out in outs.items():
        ticket.wait(layer, out)


def hand_written(reader: UringReader, out: NDArray[np.uint8]) -> Callable[[Rows], None]:
    """The same step by the reader in C; its arguments are made outside its time."""
    files = np.repeat(np.arange(len(LAYERS), dtype=np.int32), A_LAYER)

    def read(rows: Rows) -> None:
        reader.read(np.concatenate(list(rows.values())), files, out)

    return read
