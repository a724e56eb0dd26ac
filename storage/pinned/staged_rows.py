"""The rows of one layer of a ticket, by where they come from."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.storage.pinned.arrivals import Arrival


@dataclass(slots=True, eq=False)
class Staged:
    """The rows of one layer of a ticket.

    Attributes:
        layer: which.
        rows: row ids that the device did not have, int64 (k,).
        held: records that it had, on the device; None: none.
        here: positions of these in the request, on the device.
        gone: positions of the others; None: all of them.
        read: reads these into memory of the host; None: there are none.
        arrival: of these, if somebody brings them; else they are read when they are waited for.
    """

    layer: int
    rows: NDArray[np.int64]
    held: torch.Tensor | None = None
    here: torch.Tensor | None = None
    gone: torch.Tensor | None = None
    read: Callable[[torch.Tensor], object] | None = None
    arrival: Arrival | None = None
