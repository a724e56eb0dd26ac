"""Reads by `pread`, many threads at once: works wherever files do."""

from collections.abc import Sequence
from concurrent.futures import CancelledError
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import StorageError
from engramctl.runtime.calls import Call
from engramctl.runtime.kernel_cache import njit
from engramctl.runtime.threads import Workers
from engramctl.storage.readers.batch import ADDRESS, FILE, LENGTH, NEEDED, OFFSET, Batch
from engramctl.storage.readers.open_files import OpenFiles
from engramctl.storage.readers.system_calls import EAGAIN, EINTR, last_error, pread

_THREAD_BYTES = 24 << 10  # of a stack, touched
_FUTURE_BYTES = 2 << 10  # of one call that a thread makes


@njit(nogil=True, cache=True)
def pread_ranges(descriptors: Any, ranges_R5: Any, got_R: Any, first: Any, step: Any) -> None:
    """Read ranges first, first + step, ..., one after the other, each until it is whole.

    Args:
        descriptors: int32, by number of the file.
        ranges_R5: see Batch.
        got_R: see Batch; where a range is read on from, and what came of it.
        first: the first range.
        step: how far the next one is.
    """
    for i in range(first, ranges_R5.shape[0], step):
        got = got_R[i]
        while got < ranges_R5[i, NEEDED]:
            came = pread(
                descriptors[ranges_R5[i, FILE]],
                ranges_R5[i, ADDRESS] + got,
                ranges_R5[i, LENGTH] - got,
                ranges_R5[i, OFFSET] + got,
            )
            if came > 0:
                got += came
            elif came == 0:
                break
            else:
                error = last_error()
                if error != EINTR and error != EAGAIN:
                    got = -error
                    break
        got_R[i] = got


def _read(descriptors: NDArray[np.int32], batch: Batch, first: int, step: int) -> None:
    """Read ranges of a batch; whoever has this to call holds the memory they go to."""
    pread_ranges(descriptors, batch.ranges_R5, batch.got_R, first, step)


@dataclass(frozen=True)
class Reading:
    """A batch that threads read."""

    work: Sequence[Call[None]]

    def wait(self, _: int | None = None) -> None:
        """Return when every thread is done.

        Raises:
            StorageError: the engine was closed before every range was read.
        """
        broke: BaseException | None = None
        for one in self.work:  # all of them, whatever becomes of the first
            try:
                broke = one.exception() or broke
            except CancelledError:
                broke = StorageError("reads were cancelled: what reads was closed meanwhile")
        if broke is not None:
            raise broke

    def over(self) -> bool:
        """Tell whether every thread is done."""
        return all(one.done() for one in self.work)


class PreadEngine:
    """One thread a range under way, up to `depth`."""

    name = "pread"

    def __init__(self, files: OpenFiles, depth: int = 64) -> None:
        """Start no thread yet.

        Args:
            files: what batches read.
            depth: threads.
        """
        self._files = files
        self.depth = depth
        self._workers = Workers("engramctl-pread", depth)

    def start(self, batch: Batch) -> Reading:
        """Have threads read the batch."""
        threads = min(self.depth, len(batch.ranges_R5))
        files = self._files.descriptors
        return Reading(
            [self._workers.submit(_read, files, batch, k, threads) for k in range(threads)]
        )

    def memory_bytes(self, batches: int) -> int:
        """Return what threads and what waits for them take."""
        return self.depth * (_THREAD_BYTES + batches * _FUTURE_BYTES)

    def close(self) -> None:
        """Wait for the threads and end them."""
        self._workers.shutdown()
