"""A process that serves a table in a budget, in every way there is, and says how much it grew.

    python -m tests.flight.served FOLDER ENGINE BUDGET_BYTES SECONDS SEED [CGROUP]

What is the caller's (ids, outputs, threads) is there before the store is opened, and another store
has run all code once by then; so what grows from there on is the store's. One JSON document.
"""

import ctypes
import gc
import json
import os
import sys
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engramctl.storage import open_store
from engramctl.storage.reading.table import TableFiles, open_table
from engramctl.storage.tiers.ssd import SsdStore

HUGE = 500_000
THREADS = 4
SIZES = (1, 24, 48, 1000, 20_000, HUGE)
STEP = 48  # rows of a decode step
OPEN = 64


class Caller:
    """One thread's ids and outputs, all touched, and what it asks."""

    def __init__(self, table: TableFiles, seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.layer = table.layers[0]
        rows = table.num_rows(self.layer)
        self.ids = self.rng.integers(0, rows, 2 * HUGE)
        self.ids[: HUGE // 4] = np.arange(HUGE // 4) + rows // 3  # neighbours
        self.ids[HUGE // 4 : HUGE // 2] %= 1000  # repeats
        self.ids[HUGE:] %= 50_000  # many rows of few pages: what plans take, not the disk
        self.narrow = self.ids.astype(np.int32)
        self.out = torch.full((HUGE, table.record.row_dim), 7.0, dtype=torch.bfloat16)

    def some(self, size: int) -> np.ndarray:
        first = 0 if size < HUGE // 10 else HUGE
        at = int(self.rng.integers(first, len(self.ids) - size + 1))
        source = self.narrow if self.rng.random() < 0.2 else self.ids
        return source[at : at + size]

    def gather(self, store: SsdStore, size: int) -> None:
        store.gather(self.layer, self.some(size), self.out[:size])

    def turn(self, store: SsdStore) -> None:
        """One of everything a caller may do."""
        size = int(self.rng.choice(SIZES))
        kind = self.rng.random()
        if kind < 0.5:
            self.gather(store, size)
        elif kind < 0.8:
            ticket = store.prefetch({self.layer: self.some(size)})
            if kind < 0.7:
                ticket.wait(self.layer, self.out[:size])
        elif kind < 0.95:
            size = int(self.rng.choice(SIZES[:4]))
            asked = int(self.rng.integers(1, OPEN // THREADS + 1))  # all threads together: 64
            tickets = [store.prefetch({self.layer: self.some(size)}) for _ in range(asked)]
            for ticket in tickets[: asked // 2]:
                ticket.wait(self.layer, self.out[:size])
        else:
            store.populate()


def grown(word: str) -> int:
    """A size of this process in bytes, by the kernel's own count of its pages."""
    lines = Path("/proc/self/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(word + ":"))


def status(word: str) -> int:
    """The same of /proc/self/status, where the highest size is kept."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(word + ":"))


class Load:
    """Threads that call a store until they are told to end, and a look at memory meanwhile."""

    def __init__(self, callers: list[Caller]) -> None:
        self.store: SsdStore | None = None
        self.until = 0.0
        self.failed: list[BaseException] = []
        self.turns = 0
        self._go = threading.Barrier(len(callers) + 1)
        self._done = threading.Barrier(len(callers) + 1)
        for one in callers:
            threading.Thread(target=self._work, args=(one,), daemon=True).start()

    def _work(self, caller: Caller) -> None:
        while True:
            self._go.wait()
            try:
                while self.store is not None and time.monotonic() < self.until:
                    caller.turn(self.store)
                    self.turns += 1
            except BaseException as error:
                self.failed.append(error)
            self._done.wait()

    def run(self, store: SsdStore, seconds: float, look: Any = None) -> None:
        """Load a store; `look` is called over and over meanwhile."""
        self.store, self.until = store, time.monotonic() + seconds
        self._go.wait()
        while look is not None and time.monotonic() < self.until:
            look()
            time.sleep(0.01)
        self._done.wait()
        self.store = None
        if self.failed:
            raise self.failed[0]


def quiet_steps(caller: Caller, store: SsdStore, steps: int = 1000) -> dict[str, float]:
    """The time of a decode step, nobody else asking."""
    took = np.empty(steps)
    for k in range(steps):
        began = time.perf_counter_ns()
        caller.gather(store, STEP)
        took[k] = time.perf_counter_ns() - began
    return {"p50_us": float(np.percentile(took, 50)) / 1e3,
            "p99_us": float(np.percentile(took, 99)) / 1e3}  # fmt: skip


def opened(table: TableFiles, budget: int, engine: str) -> SsdStore:
    store = open_store(table, "ssd", budget, engine=engine)
    assert isinstance(store, SsdStore)
    return store


def main(folder: str, engine: str, budget: int, seconds: float, seed: int, group: str) -> None:
    if group:
        (Path(group) / "cgroup.procs").write_text(str(os.getpid()))
    table = open_table(folder)
    callers = [Caller(table, seed + k) for k in range(THREADS)]
    load = Load(callers)
    with opened(table, max(budget // 16, 1 << 20), engine) as first:
        quiet_steps(callers[0], first, 50)
        load.run(first, 2.0)
    del first
    load.turns = 0
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)
    looks: list[int] = []
    with opened(table, budget, engine) as store:
        gc.collect()
        Path("/proc/self/clear_refs").write_text("5")
        before, before_status = grown("Rss"), status("VmRSS")
        if group:
            used = int((Path(group) / "memory.usage_in_bytes").read_text())
            (Path(group) / "memory.limit_in_bytes").write_text(str(used + int(1.05 * budget)))
        steps = quiet_steps(callers[0], store)
        load.run(store, seconds, lambda: looks.append(grown("Rss")))
        peak = status("VmHWM") - before_status
        stats = store.stats()
        found = {
            "engine": stats.engine, "budget_bytes": budget, "seconds": seconds,
            "turns": load.turns, "rows": stats.rows_asked,
            "grown_bytes": max(looks) - before, "peak_bytes": peak,
            "of_budget": max(max(looks) - before, peak) / budget,
            "device_bytes": stats.device_bytes, "fallback": stats.fallback,
            "group": group or None, **steps,
        }  # fmt: skip
    print(json.dumps(found), flush=True)
    os._exit(0)


if __name__ == "__main__":
    words = sys.argv[1:]
    main(words[0], words[1], int(words[2]), float(words[3]), int(words[4]), "".join(words[5:6]))
