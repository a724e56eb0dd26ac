"""Reads by io_uring: hundreds under way from one thread, and none of ours waits for them."""

import contextlib
import os
import threading

import numpy as np

from engramctl.errors import StorageError
from engramctl.runtime.calls import Call
from engramctl.runtime.threads import Workers, renew_in_children
from engramctl.storage.readers.batch import Batch, NotBegun
from engramctl.storage.readers.open_files import OpenFiles
from engramctl.storage.readers.ring import Ring
from engramctl.storage.readers.ring_walk import DONE, FAILED, FIRST, NUM_STATE, walk

_AT_ONCE = 16  # completions a call waits for: fewer cost calls, more let the queue run low

_FEEDERS = 4  # threads that feed batches longer than a ring, a batch each
_THREAD_BYTES = 24 << 10  # of a stack, touched
_ENTRY_BYTES = 112  # of a ring: a submission, two completions, what is asked for again


class UringEngine:
    """Reads of a batch are submitted by whoever starts it; more than `depth` by a thread of ours.

    Each batch under way has a ring to itself; rings are kept for the next ones.
    """

    name = "io_uring"

    def __init__(self, files: OpenFiles, depth: int = 256) -> None:
        """Set up the first ring.

        Args:
            files: what batches read.
            depth: reads under way at once, a power of two.

        Raises:
            StorageError: there is no io_uring here: the kernel is too old, or it is forbidden.
        """
        self._files = files
        self.depth = depth
        self._feeder = Workers("engramctl-io_uring", _FEEDERS)
        self._lock = threading.RLock()  # a signal's handler may close the store in the middle of it
        self._free = [Ring(depth, files.descriptors)]
        self._under_way: set[UnderWay] = set()
        renew_in_children(self)

    def renew(self) -> None:
        """Begin without rings in a forked child: they are the parent's."""
        self._lock = threading.RLock()
        for ring in self._free:
            ring.close()
        self._free = []
        for one in self._under_way:
            one.forget()
        self._under_way = set()

    def borrow(self) -> Ring:
        """Return a ring for one batch."""
        with self._lock:
            try:
                return self._free.pop()
            except IndexError:
                pass
        return Ring(self.depth, self._files.descriptors)

    def give_back(self, ring: Ring, batch: "UnderWay") -> None:
        """Keep the ring of a batch, on which nothing is under way, for the next one."""
        with self._lock:
            self._free.append(ring)
            self._under_way.discard(batch)

    def start(self, batch: Batch) -> "UnderWay":
        """Submit the batch, or have the feeding thread do it when it is longer than the ring.

        Raises:
            NotBegun: there is no ring for it.
            StorageError: the ring broke.
        """
        try:
            under_way = UnderWay(self, batch)
        except StorageError as error:
            raise NotBegun(error.message, facts=error.facts, hint=error.hint) from error
        with self._lock:
            self._under_way.add(under_way)
        under_way.submit(self._feeder)
        return under_way

    def memory_bytes(self, batches: int) -> int:
        """Return what rings and threads take."""
        return batches * self.depth * _ENTRY_BYTES + _FEEDERS * _THREAD_BYTES

    def close(self) -> None:
        """Wait for what is under way, then end the feeding thread and the rings."""
        with contextlib.ExitStack() as stack:
            stack.callback(self._close_rings)
            stack.callback(self._feeder.shutdown)
            with self._lock:
                left = list(self._under_way)
            for one in left:
                with contextlib.suppress(StorageError):  # told to whoever waits for it
                    one.wait()

    def _close_rings(self) -> None:
        with self._lock:
            while self._free:
                self._free.pop().close()


class UnderWay:
    """A batch on its ring; safe from several threads, and from a signal's handler within them."""

    def __init__(self, engine: UringEngine, batch: Batch) -> None:
        """Borrow a ring."""
        self._engine = engine
        self._batch = batch
        self._lock = threading.RLock()
        self._waited_for = False
        self._ring: Ring | None = engine.borrow()
        self._state = np.zeros(NUM_STATE, np.int64)
        self._feeding: Call[None] | None = None

    def submit(self, feeder: Workers) -> None:
        """Submit what fits, or have a thread submit it all."""
        if len(self._batch.ranges_R5) > self._engine.depth:
            self._feeding = feeder.submit(self._run)
        else:
            self._walk(0)

    def forget(self) -> None:
        """Let go of the ring, in a forked child: what is under way is the parent's."""
        ring, self._ring = self._ring, None
        if ring is not None:
            ring.close()

    def _walk(self, first: int) -> None:
        ring, batch = self._ring, self._batch
        if ring is None:
            return
        walk(ring.places, batch.ranges_R5, batch.got_R, ring.again_D, self._state, first, _AT_ONCE)
        if self._ring is not ring:  # a signal's handler walked to the end and gave it back
            return
        if self._state[FAILED]:
            code, self._state[FAILED] = int(self._state[FAILED]), 0  # told once, then tried again
            raise StorageError(
                f"io_uring stopped working: {os.strerror(code)}",
                facts={"errno": code, "ranges": f"{len(self._batch.ranges_R5):,}"},
                hint="open the store with engine='pread'",
            )
        if self._state[DONE] == len(batch.ranges_R5):
            self._ring = None
            self._engine.give_back(ring, self)

    def _run(self, first: int | None = None) -> None:
        """Walk until all is done; between two signals, Python's handlers have their turn."""
        total = len(self._batch.ranges_R5)
        first = total if first is None else min(first, total)
        try:
            self._waited_for = True
            while self._ring is not None and (first == total or self._state[FIRST] < first):
                with self._lock:
                    self._walk(first)
        finally:
            self._waited_for = False

    def over(self) -> bool:
        """Tell whether nothing is under way any more, without waiting."""
        if self._feeding is None and not self._waited_for:
            try:
                with self._lock:  # let go of wherever an interrupt comes
                    self._walk(0)
            except StorageError:
                return False  # told to whoever waits for it
        return self._ring is None

    def wait(self, first: int | None = None) -> None:
        """Return when every range has come or failed, or the `first` ones.

        Raises:
            StorageError: the ring itself broke.
        """
        feeding = self._feeding
        if feeding is None:
            self._run(first)
            return
        try:
            feeding.result()
        except StorageError:
            self._feeding = None  # told once, then whoever waits walks on
            raise
