"""A ticket: rows on their way, handed over layer by layer."""

from dataclasses import dataclass
from typing import Any, Protocol

import torch
import xxhash
from numpy.typing import NDArray

from engramctl.errors import StorageError
from engramctl.runtime.untraced import untraced
from engramctl.storage.requests.usage import Call, Usage


@dataclass(slots=True, eq=False)
class Request:
    """The rows of one layer that were asked for.

    Attributes:
        row_ids: a copy of the ids, int64 (n,); of long requests within a budget the caller's own,
            int32 or int64. Ids that came on a device are there (`device_ids`), int32 or int64.
        shape: what they came in, (*S, H).
        distinct: how many differ.
        digest: of ids that are the caller's own.
    """

    row_ids: Any  # NDArray[np.int64], or torch.Tensor on a device
    shape: tuple[int, ...]
    distinct: int
    digest: int | None = None

    def check_same(self) -> None:
        """Refuse ids that were changed since they were asked for.

        Raises:
            StorageError: they were.
        """
        if self.digest is not None and digest_of(self.row_ids) != self.digest:
            raise StorageError(
                "the row ids of an open ticket were changed",
                facts={
                    "row ids": f"{len(self.row_ids):,}, too many to be copied within the budget"
                },
                hint="leave the array as it is until the rows are waited for",
            )


def digest_of(row_ids: NDArray[Any]) -> int:
    """Return what row ids, contiguous, are known by."""
    return xxhash.xxh3_64_intdigest(row_ids.data)


class Server(Protocol):
    """What a ticket needs of its store."""

    usage: Usage

    def target(self, ids_shape: tuple[int, ...], out: torch.Tensor | None) -> torch.Tensor:
        """Return the tensor to write the rows of ids to, checked when it is the caller's."""

    def collect(self, layer: int, request: Request, handle: Any, out: torch.Tensor) -> torch.Tensor:
        """Write one layer's rows into `out` and return it; count the time."""


class Ticket:
    """Rows on their way; `wait` hands over one layer's, once. Safe from several threads."""

    def __init__(
        self, store: Server, place: object, requests: dict[int, Request], handle: Any
    ) -> None:
        """Made by `Store.prefetch`; `place` is what it holds among the open tickets."""
        self._store = store
        self._place = place
        self._generation = store.usage.generation
        self._requests = requests
        self._handle = handle

    @untraced
    def wait(self, layer: int, out: torch.Tensor | None = None) -> torch.Tensor:
        """Return a layer's rows, dequantised, in request order.

        Args:
            layer: one of the request's layers, not yet waited for.
            out: where to write, contiguous, of the store's dtype and device.

        Returns:
            (*S, H, row_dim) for ids of shape (*S, H); `out` when given, else a new tensor.

        Raises:
            ValueError: a layer that was not requested or was waited for, or an `out` that does
                not fit.
            StorageError: reading the rows failed, the store is closed, or the ticket was opened
                before this process was forked.
        """
        store = self._store
        with Call(store.usage):
            if self._generation != store.usage.generation:
                raise StorageError(
                    "the ticket was opened before this process was forked",
                    hint="call prefetch again in the child",
                )
            request = self._requests.get(layer)
            target = None if request is None else store.target(request.shape, out)
            if request is None or target is None or self._requests.pop(layer, None) is None:
                raise ValueError(f"layer {layer} was not requested, or was waited for already")
            try:
                return store.collect(layer, request, self._handle, target)
            finally:
                if not self._requests:
                    store.usage.end_ticket(self._place)

    def __del__(self) -> None:
        """Dropping a ticket cancels it."""
        if hasattr(self, "_handle"):
            self._store.usage.end_ticket(self._place)
