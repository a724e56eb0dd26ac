"""A store around a real one that sleeps: while the caller waits, or while rows are on their way.

What it slept is written down, so that a test need not believe `sleep` on a busy machine.
"""

import time
from collections.abc import Mapping
from typing import Any, Self

import torch

from engramctl.storage import Store


class SleepingStore:
    """The rows of a real store, later.

    Attributes:
        slept_ns: by layer, what every `wait` slept.
    """

    def __init__(
        self,
        store: Store,
        *,
        in_wait_s: float = 0.0,
        on_the_way_s: float = 0.0,
        in_prefetch_s: float = 0.0,
    ) -> None:
        """Wrap a store.

        Args:
            store: that has the rows.
            in_wait_s: sleep of every `wait`: a read that begins when it is waited for.
            on_the_way_s: from `prefetch` until all rows are there: a read in the background.
            in_prefetch_s: sleep of every `prefetch`: asking that takes long.
        """
        self._store = store
        self.in_wait_s, self.on_the_way_s = in_wait_s, on_the_way_s
        self._in_prefetch_s = in_prefetch_s
        self.slept_ns: dict[int, list[int]] = {}

    def __getattr__(self, name: str) -> Any:
        return getattr(self._store, name)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._store.close()

    def prefetch(self, requests: Mapping[int, Any], keys: Any = None) -> "_Ticket":
        time.sleep(self._in_prefetch_s)
        return _Ticket(self, self._store.prefetch(requests, keys))


class _Ticket:
    def __init__(self, store: SleepingStore, ticket: Any) -> None:
        self._store, self._ticket = store, ticket
        self._there = time.monotonic() + store.on_the_way_s

    def wait(self, layer: int, out: torch.Tensor) -> Any:
        began = time.perf_counter_ns()
        time.sleep(self._store.in_wait_s)
        while (left := self._there - time.monotonic()) > 0:
            time.sleep(left)
        self._store.slept_ns.setdefault(layer, []).append(time.perf_counter_ns() - began)
        return self._ticket.wait(layer, out)
