"""How many threads compute: fixed for a run, and looked at in every sample."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch

from engramctl.storage.io.gather_threads import (
    chosen_gather_threads,
    gather_threads,
    set_gather_threads,
)


@dataclass(frozen=True)
class Threads:
    """Threads that compute on this machine's processors.

    Attributes:
        model: torch's, within one operation.
        store: those that gather the rows of a large request.
    """

    model: int
    store: int

    def set(self) -> None:
        """Have this process compute with so many; what is so already is left alone."""
        now = threads_now()
        if now.model != self.model:
            torch.set_num_threads(self.model)
        if now.store != self.store:
            set_gather_threads(self.store)


def threads_now() -> Threads:
    """Return what this process computes with now."""
    return Threads(torch.get_num_threads(), gather_threads())


@contextmanager
def fixed_threads(model: int | None, store: int | None) -> Iterator[Threads]:
    """Set both numbers, give them, and set back what was.

    Args:
        model: None: as it is.
        store: None: as is chosen; where nothing is, as many as follow from the model's.
    """
    before, chosen = threads_now(), chosen_gather_threads()
    try:
        if model is not None:
            torch.set_num_threads(model)
        fixed = Threads(model or before.model, store or gather_threads())
        set_gather_threads(fixed.store)  # chosen now: an arm that changes the model's keeps it
        yield fixed
    finally:
        before.set()
        set_gather_threads(chosen)
