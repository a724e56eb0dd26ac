"""One store asked for rows in every way, each row compared with the plain reader's."""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import numpy as np
import torch

from engramctl.checkpoints import open_store
from engramctl.errors import StorageError
from engramctl.storage.tiers.ssd import SsdStore
from tests.flight.subjects import Subject

WAYS = [("mapped", one) for one in ("willneed", "io_uring", "pread")]
WAYS += [("direct", one) for one in ("io_uring", "pread")]
BUDGETS = (500_000, 1 << 20, 8 << 20, 64 << 20)
CACHES = (0, 60_000, 400_000, 4 << 20)
POISON = 777.0
MOST = 50_000
THREADS = 8


def opened(subject: Subject, mode: str, engine: str, rng: np.random.Generator) -> SsdStore:
    """Open a subject in one way, with a budget, a row cache and a dtype by chance."""
    budget = int(rng.choice(BUDGETS)) if mode == "direct" else None
    dtype = torch.float32 if rng.random() < 0.5 else torch.bfloat16
    cache = int(rng.choice(CACHES)) if mode == "direct" else None
    if budget is not None and cache:
        budget += cache
    store = open_store(subject.path, "ssd", budget, dtype, engine=engine, cache_bytes=cache)
    assert isinstance(store, SsdStore)
    assert (store.mode, store.engine) == (mode, engine)
    return store


def batch(rng: np.random.Generator, num_rows: int, most: int) -> np.ndarray:
    """Row ids, few more often than many: at random, repeated, neighbours, or the ends."""
    size = int(np.exp(rng.uniform(0, np.log(max(most, 2)))))
    kind = rng.integers(4)
    ids = rng.integers(0, num_rows, size)
    if kind == 1:
        ids = ids[rng.integers(0, max(1, size // 8), size)]
    elif kind == 2:
        ids = (ids[0] + np.arange(size)) % num_rows
    elif kind == 3:
        ids[: size // 2] = rng.choice([0, num_rows - 1], size // 2)
    return ids.astype(np.int32 if rng.random() < 0.2 else np.int64)


def wrong_rows(out: torch.Tensor, wanted: np.ndarray) -> int:
    """Rows that differ; NaN is NaN."""
    plain = torch.from_numpy(wanted).to(out.dtype)
    return int(((out != plain) & ~(out.isnan() & plain.isnan())).any(dim=1).sum())


class Asking:
    """Asks a store for rows and compares.

    Attributes:
        rows: compared so far.
        wrong: of them.
        errors: StorageErrors that came instead of rows; only where they are allowed.
    """

    def __init__(
        self, subject: Subject, store: SsdStore, rng: np.random.Generator, *, may_fail: bool = False
    ) -> None:
        self.subject, self.store, self.rng, self.may_fail = subject, store, rng, may_fail
        self.rows = self.wrong = self.errors = 0

    def ask(self, rows: int) -> None:
        """One batch after the other until so many rows were compared."""
        stop = self.rows + rows
        while self.rows < stop:
            most = min(MOST, stop - self.rows)
            ids = {
                layer: batch(self.rng, len(values), most)
                for layer, values in self.subject.values.items()
            }
            try:
                self._turn(ids)
            except StorageError:
                if not self.may_fail:
                    raise
                self.errors += 1
                self.rows += 1  # so that a store that always fails ends

    def _turn(self, ids: dict[int, np.ndarray]) -> None:
        if self.rng.random() < 0.1:
            self.store.prefetch(ids)  # and dropped
        if self.rng.random() < 0.4:
            for layer, some in ids.items():
                self._compare(layer, some, partial(self.store.gather, layer, some))
            return
        ticket = self.store.prefetch(ids)
        for layer in self.rng.permutation(list(ids)).tolist():
            self._compare(layer, ids[layer], partial(ticket.wait, layer))
            if self.rng.random() < 0.1:
                return  # the rest is dropped

    def _compare(self, layer: int, ids: np.ndarray, fill: Callable[[torch.Tensor], object]) -> None:
        values = self.subject.values[layer]
        out = torch.full((len(ids), values.shape[1]), POISON, dtype=self.store.dtype)
        fill(out)
        self.wrong += wrong_rows(out, values[ids])
        self.rows += len(ids)

    def ask_from_threads(self, rows: int) -> None:
        """The same from eight threads."""
        others = [
            Asking(self.subject, self.store, one, may_fail=self.may_fail)
            for one in self.rng.spawn(THREADS)
        ]
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda one: one.ask(rows // THREADS), others))
        for one in others:
            self.rows += one.rows
            self.wrong += one.wrong
            self.errors += one.errors

    def ask_from_a_child(self, rows: int) -> None:
        """The same in a forked child, tickets of the parent's being open."""
        ids = {layer: batch(self.rng, len(one), 300) for layer, one in self.subject.values.items()}
        ticket = self.store.prefetch(ids)
        child = os.fork()
        if not child:
            code = 1
            try:
                before = self.wrong
                self.ask(rows)
                code = 0 if self.wrong == before else 1
            finally:
                os._exit(code)
        failed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        self.rows += rows
        self.wrong += rows if failed else 0
        for layer, some in ids.items():
            self._compare(layer, some, partial(ticket.wait, layer))
