"""Fixed outputs for a step that is captured in a CUDA graph, and asked for before each replay.

A graph runs the same work on the same memory again. So what changes from step to step, which rows
are read, is written to memory that the graph reads, by `prefetch`, before it is replayed; `wait`
queues nothing but work on the slot's own memory, and may be captured.
"""

import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, Protocol, Self

import torch

from engramctl.errors import StorageError
from engramctl.runtime.threads import renew_in_children
from engramctl.storage.requests.checked_ids import RowIds
from engramctl.storage.requests.ticket import Ticket
from engramctl.storage.requests.usage import Call, Usage

Shapes = Mapping[int, tuple[int, ...]]
Closed = Callable[["Slot"], None]


class SlotOwner(Protocol):
    """What a slot needs of its store."""

    usage: Usage

    def target(self, ids_shape: tuple[int, ...], out: torch.Tensor | None) -> torch.Tensor:
        """Return a new tensor for the rows of ids."""

    def num_rows(self, layer: int) -> int:
        """Return the rows of a layer's table."""

    def prefetch(self, requests: Mapping[int, RowIds], keys: Any = None) -> Ticket:
        """Start reading the rows of a step."""


class Slot(ABC):
    """Rows of one step in flight, at fixed addresses. A context manager; for one thread.

    Attributes:
        shapes: layer -> shape of its row ids, (*S, H).
        out: layer -> its rows, (*S, H, row_dim): always the same memory.
    """

    def __init__(self, store: SlotOwner, shapes: Shapes, closed: Closed) -> None:
        """Made by `Store.slot`; `closed` is called with it when it ends."""
        for layer in shapes:
            store.num_rows(layer)  # an error where there is none
        self.shapes = {layer: tuple(shape) for layer, shape in shapes.items()}
        self.out = {layer: store.target(shape, None) for layer, shape in self.shapes.items()}
        self._usage, self._closed, self._open = store.usage, closed, True
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """Make the lock anew in a forked child."""
        self._closing = threading.Lock()

    def prefetch(self, requests: Mapping[int, RowIds], keys: Any = None) -> None:
        """Say which rows the next step reads; before it starts, or before its graph is replayed.

        Work is queued on the current stream, which must be the one that the step runs on. Not to be
        captured. Where rows come from slower tiers this waits, on the host, until the step before
        has read its rows out of this slot: with two slots in turn there is nothing to wait for.

        Args:
            requests: every layer of the slot -> row ids of its shape, as `Store.prefetch` takes.
            keys: see `Store.prefetch`.

        After an error the step must not be run: a graph would wait for rows that nobody brings.
        The next one may be asked for.

        Raises:
            ValueError: other layers or shapes, or what `Store.prefetch` refuses.
            StorageError: the slot or the store is closed, a read of a step before failed, or that
                step never came to its rows.
        """
        with Call(self._usage):
            self._check_open()
            found = {layer: tuple(ids.shape) for layer, ids in requests.items()}
            if found != self.shapes:
                raise ValueError(f"the slot is for row ids of {self.shapes}, not of {found}")
            self.ask(requests, keys)

    def wait(self, layer: int) -> torch.Tensor:
        """Have the current stream wait for a layer's rows, and return them: `out[layer]`.

        May be captured. Every layer is waited for once a step, in any order.

        Raises:
            ValueError: no layer of the slot; or, where rows come from slower tiers and the wait is
                not captured, one that `prefetch` did not ask for since it was waited for.
            StorageError: the slot or the store is closed, or a read failed that is over by now.
        """
        with Call(self._usage):
            self._check_open()
            if layer not in self.shapes:
                raise ValueError(f"layer {layer} is not of this slot")
            self.fill(layer)
        return self.out[layer]

    def _check_open(self) -> None:
        if not self._open:
            raise StorageError("the slot is closed", hint="make another: store.slot()")

    @abstractmethod
    def ask(self, requests: Mapping[int, RowIds], keys: Any) -> None:
        """Do what `prefetch` does, of layers and shapes that fit."""

    @abstractmethod
    def fill(self, layer: int) -> None:
        """Do what `wait` does."""

    def let_go(self) -> None:  # noqa: B027
        """Free what the slot holds beside its outputs."""

    def close(self) -> None:
        """Free the memory; graphs that were captured with this slot must not be replayed.

        Once more does nothing. Closing the store does it, too: until then it holds its slots.
        """
        with self._closing:
            if not self._open:
                return
            self._open = False
            try:
                self.let_go()
            finally:
                self.out.clear()
                self._closed(self)

    def __enter__(self) -> Self:
        """Use as a context manager."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close."""
        self.close()


class TicketSlot(Slot):
    """Rows of a store on the CPU, where no graph is captured: a ticket a step."""

    def __init__(self, store: SlotOwner, shapes: Shapes, closed: Closed) -> None:
        """As `Slot`."""
        super().__init__(store, shapes, closed)
        self._store = store
        self._ticket: Ticket | None = None

    def ask(self, requests: Mapping[int, RowIds], keys: Any) -> None:
        """Open a ticket."""
        self._ticket = self._store.prefetch(requests, keys)

    def fill(self, layer: int) -> None:
        """Wait for it."""
        if self._ticket is None:
            raise ValueError("the slot was asked for no rows yet: call prefetch before the step")
        self._ticket.wait(layer, self.out[layer])
