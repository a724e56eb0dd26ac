"""Rows on their way into host memory that a device reads: brought by a thread, awaited by a stream.

A step must be queued whole before its rows are there, and its host thread must never wait. So a
stream waits itself, by a kernel that looks at a word in pinned memory; a thread writes the word
when the rows have come. Where no such kernel works, the host waits.
"""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.errors import ConfigError, StorageError
from engramctl.runtime.kernel_cache import njit
from engramctl.runtime.threads import Workers, renew_in_children
from engramctl.storage.device.triton_gather import EXACT
from engramctl.storage.pinned import triton_words
from engramctl.storage.pinned.pinned import PinnedMemory
from engramctl.storage.pinned.rooms import Room
from engramctl.storage.record.intrinsics import store_release

WORDS = 1024
_WORD_BYTES = 64  # a line each: what is written to one disturbs who reads another
_STEP = _WORD_BYTES // 4
_LAST = np.int32(2**31 - 1)  # no stream waits for more
CLOSED = "the store was closed before these rows were read"
_NEVER_CAME = 0xFF  # in every byte of a record: a NaN in every dtype that has one


@njit()
def _write(address: int, number: int) -> None:
    """Write a word behind everything that was written before."""
    store_release(np.int64(address), np.uint32(number))


class Arrival:
    """Rows of a layer, read into memory of the host.

    Attributes:
        room: where to, or what holds that.
        records: uint8 (n, record_bytes) of it.
        error: why they did not come, once `done`; then their bytes are 0xFF.
        done: set when they are there, or never will be.
        place: word and number that tell a stream.
    """

    def __init__(self, room: Room, place: tuple[int, int]) -> None:
        """Made by `Arrivals.begin`."""
        self.room, self.records, self.place = room, room.records, place
        self.error: BaseException | None = None
        self.done = threading.Event()

    def raise_error(self) -> None:
        """Raise what kept the rows from coming, if anything did."""
        if self.error is not None:
            raise self.error


class Arrivals:
    """The thread that brings rows for one store, and the words by which streams know.

    Attributes:
        queues: whether streams wait; else the host does.
    """

    def __init__(self, device: torch.device, *, queues: bool) -> None:
        """Start nothing yet.

        Args:
            device: whose streams wait.
            queues: whether the kernel works that waits.

        Raises:
            StorageError: see `PinnedMemory`.
        """
        pinned = device if device.type == "cuda" else None
        self._device = device
        self._memory = PinnedMemory(WORDS * _WORD_BYTES, device=pinned)
        self._host: NDArray[np.int32] = self._memory.array.view(np.int32)
        self._words, self.queues = torch.from_numpy(self._host), queues
        self._numbers: NDArray[np.int32] = np.zeros(WORDS, np.int32)
        self._next = 0
        self._workers = Workers("engramctl-arrivals", 1)
        self.renew()
        renew_in_children(self)
        self.write(0, 0)  # compiled now, as the kernels are
        if queues:
            self._compile(torch.zeros(1, dtype=torch.int32, device=device))

    def renew(self) -> None:
        """Know of no rows in a forked child: nobody brings them, and a GPU's words are gone."""
        self._of_word: list[Arrival | None] = [None] * WORDS
        self._reserved: set[int] = set()
        self._lock = threading.Lock()
        self._late: deque[Arrival] = deque()

    def _compile(self, seen: torch.Tensor) -> None:
        """Run every kernel once: later it may be in a capture."""
        word = WORDS - 1
        self.write(word, 1)
        self._queue_wait(word, 1)
        self.wait_next(word, seen)
        self.tell(seen, word)
        if self._device.type == "cuda":
            torch.cuda.synchronize(self._device)
        self.write(word, 0)

    def _on_device(self) -> AbstractContextManager[object]:
        """Return a context in which Triton launches on this device."""
        return torch.cuda.device(self._device) if self._device.type == "cuda" else nullcontext()

    def _word(self, word: int) -> torch.Tensor:
        return self._words[word * _STEP :]

    def begin(
        self,
        read: Callable[[], object],
        room: Room,
        word: int | None = None,
    ) -> Arrival:
        """Have the thread read rows; those begun first come first.

        Args:
            read: fills the room.
            room: for them.
            word: of `reserve`; None: any.
        """
        with self._lock:
            word = self._free_word() if word is None else word
            self._numbers[word] += 1
            arrival = Arrival(room, (word, int(self._numbers[word])))
            self._of_word[word] = arrival
        try:
            self._workers.submit(self._bring, read, arrival)
        except BaseException as error:  # nobody else will say it
            self._fail(arrival, error)
            raise
        return arrival

    def reserve(self) -> int:
        """Return a word that is nobody else's from now on; its number is that of its last rows.

        Raises:
            ConfigError: half of all are reserved; the others are left for tickets.
        """
        with self._lock:
            if len(self._reserved) >= WORDS // 2:
                raise ConfigError(
                    "there are too many layers in the open slots of a store",
                    facts={"expected": f"at most {WORDS // 2:,} words", "found": "2 a layer"},
                    hint="close slots, or open fewer",
                )
            word = self._free_word()
            self._reserved.add(word)
        return word

    def end(self, word: int) -> None:
        """Wait until nobody brings rows of a reserved word, and say that all are there."""
        arrival = self._of_word[word]
        if arrival is not None:
            arrival.done.wait()
        self.write(word, self.number(word))

    def free(self, word: int) -> None:
        """Give a word of `reserve` back, whose rows have come; no stream reads or writes it now.

        Whatever was told by it, its next rows are told by the number after that of its last.
        """
        with self._lock:
            self.write(word, self.number(word))
            self._reserved.discard(word)

    def let_through(self, word: int) -> None:
        """Let streams go on that wait for rows of a reserved word which nobody brings."""
        self.write(word, int(_LAST))

    def here(self, room: Room, word: int | None = None) -> Arrival:
        """Say that rows are there already; as `begin`."""
        place = (0, 0)
        if word is not None:
            with self._lock:
                self._numbers[word] += 1
                place = word, int(self._numbers[word])
            self.write(*place)
        arrival = Arrival(room, place)
        arrival.done.set()
        return arrival

    def _free_word(self) -> int:
        """Return a word whose rows have all come."""
        for _ in range(WORDS):
            word, self._next = self._next, (self._next + 1) % WORDS
            before = self._of_word[word]
            if word not in self._reserved and (before is None or before.done.is_set()):
                return word
        raise RuntimeError(f"{WORDS:,} layers of open tickets are on their way")

    def _bring(self, read: Callable[[], object], arrival: Arrival) -> None:
        try:
            read()
        except BaseException as error:  # told to whoever waits
            self._fail(arrival, error)
        else:
            self._tell(arrival)

    def _fail(self, arrival: Arrival, error: BaseException) -> None:
        arrival.error = error
        try:
            with torch.inference_mode():  # they may have been taken in it
                arrival.records.fill_(_NEVER_CAME)
        finally:
            self._tell(arrival)

    def _tell(self, arrival: Arrival) -> None:
        word, number = arrival.place
        self.write(word, number)
        self._of_word[word] = None
        arrival.done.set()

    def wait(self, arrival: Arrival) -> None:
        """Have the current stream wait for rows, or the host where it cannot.

        Raises:
            Exception: what kept them from coming, where that is known by now; else `raise_late`
                has it later.
        """
        if not self.queues or not arrival.room.is_pinned:  # what is not pinned is copied at once
            arrival.done.wait()
        if arrival.done.is_set():
            arrival.raise_error()
            return
        self._queue_wait(*arrival.place)
        self.watch(arrival)

    def _queue_wait(self, word: int, number: int) -> None:
        with self._on_device():
            triton_words.wait_kernel[(1,)](self._word(word), number, num_warps=1, **EXACT)

    def number(self, word: int) -> int:
        """Return the number of the last rows begun on a word."""
        return int(self._numbers[word])

    def told(self, word: int) -> int:
        """Return what stands in a word now."""
        return int(self._host[word * _STEP])

    def watch(self, arrival: Arrival) -> None:
        """Have `raise_late` tell if rows do not come."""
        self._late.append(arrival)

    def wait_next(self, word: int, seen: torch.Tensor) -> None:
        """Queue a wait for the next rows of a reserved word: the same work each time.

        Args:
            word: reserved.
            seen: int32 (1,) on the device: how many came before.
        """
        with self._on_device():
            triton_words.wait_next_kernel[(1,)](self._word(word), seen, num_warps=1, **EXACT)

    def tell(self, seen: torch.Tensor, word: int) -> None:
        """Queue the writing of what was seen to a reserved word, for the host."""
        with self._on_device():
            triton_words.tell_kernel[(1,)](seen, self._word(word), num_warps=1, **EXACT)

    def write(self, word: int, number: int) -> None:
        """Write a word from the host."""
        _write(self._memory.address + word * _WORD_BYTES, number)

    def raise_late(self) -> None:
        """Raise why rows did not come that a stream was queued behind; each time another's."""
        for _ in range(len(self._late)):
            try:
                arrival = self._late.popleft()
            except IndexError:  # another thread looks too
                return
            if arrival.done.is_set():
                arrival.raise_error()
            else:
                self._late.append(arrival)

    def close(self) -> None:
        """Wait for what is being read; rows that nobody began to read come no more.

        Streams that wait for these go on, and read bytes 0xFF.
        """
        self._workers.shutdown()
        for arrival in filter(None, list(self._of_word)):
            self._fail(arrival, StorageError(CLOSED))
        for word in self._reserved:  # a graph that was replayed and never asked for anything
            self.let_through(word)

    def release(self) -> None:
        """Unpin the words; no stream may wait any more."""
        self._late.clear()
        self._memory.close()
