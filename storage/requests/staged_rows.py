"""The rows of one layer of a ticket, by where they come from."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.storage.pinned.arrivals import Arrival
from engramctl.storage.requests.ticket import Ticket


@dataclass(slots=True, eq=False)
class Staged:
    """The rows of one layer of a ticket.

    Attributes:
        layer: which.
        rows: row ids that the device did not have, int64 (k,).
        held: records that it had, on the device; None: none.
        here: positions of these in the request, on the device.
        gone: positions of the others; None: all of them.
        ticket: that reads these, of the tiers below; None: there are none, or they came at once.
        shape: of its row ids.
        arrival: of these, if somebody brings them; else they are read when they are waited for.
    """

    layer: int
    rows: NDArray[np.int64]
    held: torch.Tensor | None = None
    here: torch.Tensor | None = None
    gone: torch.Tensor | None = None
    ticket: Ticket | None = None
    shape: tuple[int, ...] = ()
    arrival: Arrival | None = None

    @property
    def places(self) -> tuple[torch.Tensor, ...]:
        """`here` and `gone`, as far as there are such."""
        return tuple(one for one in (self.here, self.gone) if one is not None)
