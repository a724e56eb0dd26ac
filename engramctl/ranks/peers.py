"""The other processes of a run: meeting them, waiting for them, telling that one is gone.

Two groups: one on the CPU (gloo), in which the main threads agree; one for rows and branches (NCCL
between GPUs, else gloo), used by the exchange's thread alone, so that neither waits for the other.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist

from engramctl.errors import EngramError
from engramctl.ranks.place import Place

PATIENCE_S = 300  # for a rank that is there and does not answer; one that ends is known at once
T = TypeVar("T")


class LostPeers(EngramError):
    """Another rank ended, or did not answer in time."""


class AllRefuse(Exception):
    """What kept one rank from going on, raised on every rank, so that all leave it out.

    Attributes:
        error: the first such rank's.
    """

    def __init__(self, error: EngramError) -> None:
        """Keep it."""
        super().__init__(error.message)
        self.error = error


class Peers:
    """This rank and the others.

    Attributes:
        rank: of this process.
        world: how many there are.
        device: where this rank computes.
        backend: gloo or nccl: what carries rows and branches.
    """

    def __init__(self, place: Place, device: torch.device) -> None:
        """Use `met`, which joins the groups."""
        self.rank, self.world, self.device = place.rank, place.world, device
        self.backend = "nccl" if device.type == "cuda" else "gloo"
        patience = timedelta(seconds=PATIENCE_S)
        self._data: Any = dist.new_group(backend=self.backend, timeout=patience)

    def each(self, mine: T) -> list[T]:
        """Return what every rank gives, by rank; all must call it.

        Raises:
            LostPeers: one is gone.
        """
        found: list[Any] = [None] * self.world
        with self._known():
            dist.all_gather_object(found, mine)
        return found

    def refuse_together(self, mine: EngramError | None) -> None:
        """Go on where no rank has an error.

        Raises:
            AllRefuse: one has, on all ranks alike.
            LostPeers: one is gone.
        """
        for error in self.each(mine):
            if error is not None:
                raise AllRefuse(error)

    def wait_for_all(self) -> None:
        """Return when every rank has come here.

        Raises:
            LostPeers: one is gone.
        """
        with self._known():
            dist.barrier()

    def swap(
        self, sent: torch.Tensor, send_counts: list[int], receive_counts: list[int]
    ) -> torch.Tensor:
        """Send a part of a tensor to every rank, and return what they send: the all-to-all.

        Args:
            sent: (n, ..), contiguous, the rows for rank 0 first.
            send_counts: rows for each rank.
            receive_counts: rows from each rank.

        Raises:
            LostPeers: one is gone.
        """
        shape, width = sent.shape[1:], sent.shape[1:].numel() * sent.element_size()
        plain = sent.reshape(len(sent), -1).view(torch.uint8)
        got = torch.empty(sum(receive_counts), width, dtype=torch.uint8, device=sent.device)
        with self._known():
            dist.all_to_all_single(got, plain, receive_counts, send_counts, group=self._data)
        return got.view(sent.dtype).reshape(len(got), *shape)

    @contextmanager
    def _known(self) -> Iterator[None]:
        try:
            yield
        except RuntimeError as error:
            raise LostPeers(
                f"rank {self.rank} of {self.world} lost another one",
                facts={"reason": str(error).splitlines()[0]},
                hint="the rank that ended first says why",
            ) from error


@contextmanager
def met(place: Place, device: torch.device) -> Iterator[Peers]:
    """Join the other ranks, and leave them.

    Raises:
        LostPeers: they do not come.
    """
    patience = timedelta(seconds=PATIENCE_S)
    try:
        dist.init_process_group(
            "gloo", init_method=place.meeting, rank=place.rank, world_size=place.world,
            timeout=patience,
        )  # fmt: skip
        peers = Peers(place, device)
    except RuntimeError as error:
        raise LostPeers(
            f"rank {place.rank} does not find the other {place.world - 1}",
            facts={"reason": str(error).splitlines()[0]},
        ) from error
    try:
        yield peers
    finally:
        dist.destroy_process_group()


def device_of(place: Place) -> torch.device:
    """Return where a rank computes: on a GPU of its own where each of this machine has one."""
    if torch.cuda.is_available() and torch.cuda.device_count() >= place.local_world:
        torch.cuda.set_device(place.local)
        return torch.device("cuda", place.local)
    return torch.device("cpu")
