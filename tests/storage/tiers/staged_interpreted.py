"""Run by test_staged_triton in a process of its own: staged rows by Triton's interpreted kernels.

A thread writes the words that the kernels wait for, so a wait that misses one hangs, and one that
does not wait reads poison. Prints one line a case.
"""

import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engramctl.storage.reading.table import TableFiles, open_table
from engramctl.storage.tiers.staged import StagedStore
from engramctl.storage.tiers.tier_list import read_tiers

NAMES = ("gpu:10KiB,host:20KiB,ssd", "gpu:10KiB,host", "ssd")
SHAPE = (3, 8)


def opened(table: TableFiles, name: str) -> StagedStore:
    tiers = read_tiers(name)
    host = tiers.cache_bytes("host")
    budget = host + (1 << 20) if tiers.whole == "ssd" else None
    words = (table, torch.float32, torch.device("cpu"), budget, "auto", None, host, None, tiers)
    store = StagedStore(*words, kernel="triton")
    store.capture_slots = 2
    assert store.arrivals.queues
    return store


def slowed(store: StagedStore) -> None:
    """Have rows come so late that whoever does not wait is seen."""
    fast = store.below.collect

    def slow(*words: Any, **others: Any) -> torch.Tensor:
        time.sleep(0.02)
        return fast(*words, **others)

    store.below.collect = slow  # type: ignore[method-assign]


def same(table: TableFiles, ids: np.ndarray, out: torch.Tensor) -> bool:
    values = torch.from_numpy(table.read_values(1, ids.ravel()))
    return torch.equal(out.view(-1, out.shape[-1]), values)


def main(folder: Path) -> None:
    """Tickets, then slots, then a read that fails."""
    table, random = open_table(folder), np.random.default_rng(0)
    for name in NAMES:
        with opened(table, name) as store:
            slowed(store)
            good = True
            for _ in range(4):
                ids = random.integers(0, 60, SHAPE)
                good &= same(table, ids, store.prefetch({1: ids}).wait(1))
            print(f"tickets of {name}:", "same" if good else "other rows")
            both = [store.slot({1: SHAPE}) for _ in range(2)]
            for step in range(6):
                ids = random.integers(0, 60, SHAPE)
                both[step % 2].prefetch({1: ids})
                good &= same(table, ids, both[step % 2].wait(1))
            print(f"slots of {name}:", "same" if good else "other rows")
    print("never came:", failed(table))


def failed(table: TableFiles) -> str:
    """Rows that a kernel waited for and that never came: NaN, told by the next call, not kept."""
    ids = np.arange(24).reshape(SHAPE)
    with opened(table, "gpu:10KiB,ssd") as store:
        right = store.below.collect

        def fail(*_: Any) -> None:
            time.sleep(0.05)
            raise OSError("the disk fails")

        store.below.collect = fail  # type: ignore[method-assign, assignment]
        out = store.prefetch({1: ids}).wait(1)
        time.sleep(0.1)
        if not bool(out.isnan().all()):
            return "bytes that never came look like rows"
        store.below.collect = right  # type: ignore[method-assign]
        try:
            store.prefetch({1: ids})
        except OSError:
            return "same" if same(table, ids, store.gather(1, ids)) else "kept what never came"
        return "nobody told"


if __name__ == "__main__":
    main(Path(sys.argv[1]))
