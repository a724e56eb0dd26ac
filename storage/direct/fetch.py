"""Rows of one ticket on their way past the page cache, and the memory that they hold."""

import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.cache.parted import Parted
from engramctl.storage.cache.row_cache import NO_TAGS
from engramctl.storage.direct.ahead import Ahead
from engramctl.storage.direct.recorded import Recorded
from engramctl.storage.direct.step_plan import StepPlan
from engramctl.storage.io.page_plan import PagePlan
from engramctl.storage.memory.slab import Slab
from engramctl.storage.readers.batch import Batch, Pending

if TYPE_CHECKING:
    from engramctl.storage.direct.staged import Staged

_NONE: NDArray[np.int64] = np.empty(0, np.int64)


class Nothing:
    """No read at all: every row was in the row cache."""

    def wait(self, first: int | None = None) -> None:
        """Return at once."""

    def over(self) -> bool:
        """It is."""
        return True


@dataclass(slots=True, eq=False)
class Fetch:
    """Rows of a ticket on their way, or none: then they are read when they are waited for.

    Attributes:
        owner: frees the memory when it is over.
        slab: what its pages are of; a forked child has another.
        left: layers that were not handed over.
        parted: layer -> what of it was in the row cache; without one, nothing.
        staged: its parts, where it is read so; None: it is not.
        recorded: what of it n-gram records serve; None: they were not asked.
        tags: of the rows of each layer, see `RowCache.part`.
        where: layer -> addresses of rows that were read, once they are known.
        plan: what is read; None: nothing has to be.
        runs: first page and number of pages of what it holds.
        address: where the first page that is read goes.
        places: 0, 1, 2, ..., as many as the longest layer has rows.
        batch: what is read.
        pending: how far it is; None: nothing was begun, and rows are read when waited for.
        checked: ranges, counted from the first, that were seen to have come.
    """

    owner: Ahead
    slab: Slab
    left: set[int]
    parted: dict[int, Parted] = field(default_factory=dict)
    staged: "Staged | None" = None
    recorded: Recorded | None = None
    tags: NDArray[np.uint16] = field(default_factory=lambda: NO_TAGS)
    where: dict[int, NDArray[np.int64]] = field(default_factory=dict)
    plan: PagePlan | StepPlan | None = None
    runs: tuple[tuple[int, int], ...] = ()
    address: int = 0
    places: NDArray[np.int64] = field(default_factory=lambda: _NONE)
    batch: Batch | None = None
    pending: Pending | None = None
    checked: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def come(self, layer: int) -> list[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Return where the rows of a layer are that was parted and has come.

        Output rows int64 (n,) with addresses of values and scales, int64 (n, 2): of the row cache,
        of n-gram records, of the table.
        """
        part = self.parted[layer]
        rows = [(part.targets[one], part.where_N2[one]) for one in (part.found, part.recorded)]
        if layer in self.where:
            rows.append((part.missed_targets, self.where[layer]))
        return rows

    def last(self, layer: int) -> bool:
        """Note that a layer was handed over; tell whether it was the last one."""
        with self.lock:
            self.left.discard(layer)
            return not self.left

    def release(self) -> None:
        """Give the memory back, when nothing is read into it any more."""
        pending, self.pending = self.pending, None
        if pending is not None:
            self.owner.over.append((self.slab, self.runs, pending))

    def __del__(self) -> None:
        """A ticket that is dropped, in the middle of anything, gives back what it holds."""
        if hasattr(self, "pending"):  # not if it was interrupted while it was made
            self.release()
