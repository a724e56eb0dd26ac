"""Ranges into an io_uring and completions out of it: the loop behind the engine, without Python."""

from typing import Any

import numpy as np
from numba import carray

from engramctl.runtime.kernel_cache import njit
from engramctl.storage.readers.batch import ADDRESS, FILE, LENGTH, NEEDED, OFFSET
from engramctl.storage.readers.ring import (
    CQ_HEAD,
    CQ_MASK,
    CQ_TAIL,
    CQE_BYTES,
    CQES,
    ENTER,
    ENTRIES,
    FD,
    SQ_ARRAY,
    SQ_HEAD,
    SQ_MASK,
    SQ_TAIL,
    SQE_BYTES,
    SQES,
)
from engramctl.storage.readers.system_calls import EAGAIN, EINTR, last_error, syscall
from engramctl.storage.record.intrinsics import as_pointer, load_acquire, store_release

# What `walk` keeps between its calls, int64.
NEXT, NUM_AGAIN, UNDER_WAY, DONE, FAILED, FIRST = range(6)
NUM_STATE = 6
_READ, _FIXED_FILE = 22, 1
_GETEVENTS = 1
_WORD = 0xFFFFFFFF
_AT_A_TIME = 4  # submissions of a short batch that a call hands over: the disk begins with these


@njit(nogil=True, cache=True)
def walk(
    places: Any, ranges_R5: Any, got_R: Any, again_D: Any, state: Any, first: Any, at_once: Any
) -> None:
    """Submit ranges and reap completions until the `first` are over; return early on a signal.

    Ranges that came short are read on; interrupted ones again.

    Args:
        places: see Ring.
        ranges_R5: see Batch.
        got_R: see Batch.
        again_D: int64, room for the numbers of ranges to ask for again: one an entry of the ring.
        state: int64 (6,): next range to ask for, how many to ask for again, how many are under
            way, how many are done, the error that broke the ring, or 0, and how many are over
            without a gap, counted from the first.
        first: return when so many ranges, counted from the first, are over; 0: submit what fits
            and reap what is there.
        at_once: completions to wait for in one call, where so many are under way.
    """
    total = ranges_R5.shape[0]
    most = _AT_A_TIME if total <= places[ENTRIES] else places[ENTRIES]
    while True:
        tail = np.int64(load_acquire(places[SQ_TAIL]))
        pushed = 0
        while state[UNDER_WAY] < places[ENTRIES] and (state[NUM_AGAIN] or state[NEXT] < total):
            if state[NUM_AGAIN]:
                state[NUM_AGAIN] -= 1
                i = again_D[state[NUM_AGAIN]]
            else:
                i = state[NEXT]
                state[NEXT] += 1
            _push(places, ranges_R5, got_R, i, tail & places[SQ_MASK])
            tail += 1
            state[UNDER_WAY] += 1
            pushed += 1
            if pushed % most == 0:  # an error is told by the next call, which has these too
                store_release(places[SQ_TAIL], np.uint32(tail & _WORD))
                syscall(ENTER, places[FD], most, 0, 0, 0, 0)
        store_release(places[SQ_TAIL], np.uint32(tail & _WORD))
        new = (tail - np.int64(load_acquire(places[SQ_HEAD]))) & _WORD
        wanted = min(_missing(ranges_R5, got_R, state, first, at_once), state[UNDER_WAY])
        interrupted = False
        if new or wanted > 0:
            flags = _GETEVENTS if wanted > 0 else 0
            if syscall(ENTER, places[FD], new, max(wanted, 0), flags, 0, 0) < 0:
                error = last_error()
                interrupted = error == EINTR
                if not interrupted and (error != EAGAIN or new == state[UNDER_WAY]):
                    state[FAILED] = error
                    return
        _reap(places, ranges_R5, got_R, again_D, state)
        if interrupted or (
            _missing(ranges_R5, got_R, state, first, 1) == 0
            and (first < total or state[DONE] == total)
        ):
            return


@njit(inline="always")
def _missing(ranges_R5: Any, got_R: Any, state: Any, first: Any, most: Any) -> Any:
    """Count those of the first ranges that are not over, up to `most`."""
    while state[FIRST] < first and _over(ranges_R5, got_R, state[FIRST]):
        state[FIRST] += 1
    missing, i = 0, state[FIRST]
    while missing < most and i < first:
        if not _over(ranges_R5, got_R, i):
            missing += 1
        i += 1
    return missing


@njit(inline="always")
def _over(ranges_R5: Any, got_R: Any, i: Any) -> Any:
    """Tell whether a range has come, failed, or ended early: then its length is what came."""
    return got_R[i] < 0 or got_R[i] >= min(ranges_R5[i, NEEDED], ranges_R5[i, LENGTH])


@njit(inline="always")
def _push(places: Any, ranges_R5: Any, got_R: Any, i: Any, slot: Any) -> None:
    """Write one submission: IORING_OP_READ of what is left of range i, its file by number."""
    words = carray(as_pointer(places[SQES] + slot * SQE_BYTES), (8,), np.int64)
    words[0] = _READ | (_FIXED_FILE << 8) | (ranges_R5[i, FILE] << 32)
    words[1] = ranges_R5[i, OFFSET] + got_R[i]
    words[2] = ranges_R5[i, ADDRESS] + got_R[i]
    words[3] = ranges_R5[i, LENGTH] - got_R[i]
    words[4] = i
    words[5] = 0
    words[6] = 0
    words[7] = 0
    carray(as_pointer(places[SQ_ARRAY] + slot * 4), (1,), np.uint32)[0] = np.uint32(slot)


@njit(inline="always")
def _reap(places: Any, ranges_R5: Any, got_R: Any, again_D: Any, state: Any) -> None:
    """Take every completion that is there."""
    head = np.int64(load_acquire(places[CQ_HEAD]))
    tail = np.int64(load_acquire(places[CQ_TAIL]))
    while head != tail:
        place = places[CQES] + (head & places[CQ_MASK]) * CQE_BYTES
        i = carray(as_pointer(place), (1,), np.int64)[0]
        came = np.int64(carray(as_pointer(place + 8), (1,), np.int32)[0])
        state[UNDER_WAY] -= 1
        if came > 0:
            got_R[i] += came
        if came == 0:
            ranges_R5[i, LENGTH] = got_R[i]
        over = came == 0 or got_R[i] >= ranges_R5[i, NEEDED]
        if came < 0 and came != -EINTR and came != -EAGAIN:
            got_R[i] = came
            over = True
        if over:
            state[DONE] += 1
        else:
            again_D[state[NUM_AGAIN]] = i
            state[NUM_AGAIN] += 1
        head = (head + 1) & _WORD
    store_release(places[CQ_HEAD], np.uint32(head))
