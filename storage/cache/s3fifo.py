"""S3-FIFO: which of so many slots holds which row (Yang, Zhang, Qiu, Yue, Rashmi, SOSP'23).

Three queues, first in first out: *small* takes new rows, a tenth of the capacity; *main* has the
rest; *ghost* remembers ids of rows that left small, the last so many as main may hold. Hits count
up to 3. A row that leaves small with two hits or more moves to main, its count cleared; else only
its id stays. A row at the end of main goes round again while it has hits, one fewer each time. A
miss whose id is in ghost enters main.

The plain form is `engramctl.caches.reference`; `Slots` has the arrays.
"""

from typing import Any

import numpy as np

from engramctl.runtime.fmix64 import fmix64
from engramctl.runtime.kernel_cache import njit

MAX_HITS = 3
PROMOTE_HITS = 2
# Places in `state`: what the queues should hold, then the first and last slot and the length of
# each, ids ever put in ghost, the first slot of those that were freed, slots that were ever used,
# slots in a queue whose row was forgotten.
CAPACITY, SMALL_ROWS, MAIN_ROWS, GHOSTS, BUCKETS = range(5)
_SMALL, _MAIN, _FREE, _PUT, _USED, EMPTY = 5, 8, 11, 12, 13, 14
SMALL_LENGTH, MAIN_LENGTH = _SMALL + 2, _MAIN + 2
NUM_STATE = 15
_HEAD, _TAIL, _LENGTH = range(3)
_HALF = np.uint64(32)
_FORGOTTEN = 255  # as hits: the slot's row was forgotten, and no chain has it


@njit(nogil=True, cache=True)
def empty_slots(words: Any, state: Any) -> None:
    """Hold no row: one call, so that an interrupt finds all of it done or nothing.

    Args:
        words: see `Slots`.
        state: see `Slots`; capacities stay.
    """
    words[:] = -1
    state[BUCKETS + 1 :] = 0
    for queue in (_SMALL, _MAIN):
        state[queue + _HEAD] = state[queue + _TAIL] = -1
    state[_FREE] = -1


@njit(inline="always")
def chain_of(key: Any, state: Any) -> Any:
    """Return the number of the hash chain that a key is in."""
    high = fmix64(np.uint64(key)) >> _HALF
    return np.int64((high * np.uint64(state[BUCKETS])) >> _HALF)


@njit(nogil=True, cache=True)
def find(key: Any, keys: Any, words: Any, state: Any) -> Any:
    """Return the entry of a key: its slot, CAPACITY or more for a ghost, -1 for none."""
    chains = state[BUCKETS]
    entry = np.int64(words[chain_of(key, state)])
    while entry >= 0 and np.int64(keys[entry]) != key:
        entry = np.int64(words[chains + entry])
    return entry


@njit(inline="always")
def touch(slot: Any, hits: Any) -> None:
    """Count a hit."""
    if hits[slot] < MAX_HITS:
        hits[slot] += 1


@njit(nogil=True, cache=True)
def admit(key: Any, entry: Any, keys: Any, words: Any, hits: Any, state: Any) -> Any:
    """Make room for a key that was not found and return its slot, whatever that held.

    Args:
        key: int64.
        entry: what `find` gave: a ghost, or -1.
        keys: see `Slots`, as the others.
        words: see `Slots`.
        hits: see `Slots`.
        state: see `Slots`.
    """
    if entry >= 0:
        _unchain(entry, keys, words, state)
    while state[SMALL_LENGTH] + state[MAIN_LENGTH] >= state[CAPACITY]:
        if state[SMALL_LENGTH] >= state[SMALL_ROWS]:
            _evict_small(keys, words, hits, state)
        else:
            _evict_main(keys, words, hits, state)
    slot = state[_FREE]
    if slot >= 0:
        state[_FREE] = words[_behind(slot, state)]
    else:
        slot = state[_USED]
        state[_USED] += 1
    _chain(key, slot, keys, words, state)
    hits[slot] = 0
    _push(slot, _MAIN if entry >= 0 else _SMALL, words, state)
    return slot


@njit(inline="always")
def _behind(slot: Any, state: Any) -> Any:
    """Return where the slot behind a slot stands in `words`."""
    return state[BUCKETS] + state[CAPACITY] + state[GHOSTS] + slot


@njit(inline="always")
def _push(slot: Any, queue: Any, words: Any, state: Any) -> None:
    """Put a slot at the end of a queue."""
    words[_behind(slot, state)] = -1
    if state[queue + _LENGTH] == 0:
        state[queue + _HEAD] = slot
    else:
        words[_behind(state[queue + _TAIL], state)] = slot
    state[queue + _TAIL] = slot
    state[queue + _LENGTH] += 1


@njit(inline="always")
def _pop(queue: Any, words: Any, state: Any) -> Any:
    """Take the first slot of a queue that has one."""
    slot = state[queue + _HEAD]
    state[queue + _HEAD] = words[_behind(slot, state)]
    state[queue + _LENGTH] -= 1
    return slot


@njit(inline="always")
def _chain(key: Any, entry: Any, keys: Any, words: Any, state: Any) -> None:
    """Give an entry a key."""
    chain = chain_of(key, state)
    keys[entry] = key
    words[state[BUCKETS] + entry] = words[chain]
    words[chain] = entry


@njit(nogil=True, cache=True)
def _unchain(entry: Any, keys: Any, words: Any, state: Any) -> None:
    """Take its key from an entry; nothing when it has none."""
    chains = state[BUCKETS]
    place = chain_of(np.int64(keys[entry]), state)
    while words[place] != entry:
        if words[place] < 0:
            return
        place = chains + words[place]
    words[place] = words[chains + entry]


@njit(inline="always")
def _let_go(slot: Any, keys: Any, words: Any, hits: Any, state: Any) -> None:
    """Free the slot of a row that left its queue."""
    if hits[slot] == _FORGOTTEN:
        state[EMPTY] -= 1
    else:
        _unchain(slot, keys, words, state)
    words[_behind(slot, state)] = state[_FREE]
    state[_FREE] = slot


@njit(nogil=True, cache=True)
def _evict_main(keys: Any, words: Any, hits: Any, state: Any) -> None:
    """Drop the first row of main that has no hits left; others go round."""
    while state[MAIN_LENGTH] > 0:
        slot = _pop(_MAIN, words, state)
        if hits[slot] == 0 or hits[slot] == _FORGOTTEN:
            _let_go(slot, keys, words, hits, state)
            return
        hits[slot] -= 1
        _push(slot, _MAIN, words, state)


@njit(nogil=True, cache=True)
def _evict_small(keys: Any, words: Any, hits: Any, state: Any) -> None:
    """Drop the first row of small that was not hit twice; its id goes to ghost."""
    while state[SMALL_LENGTH] > 0:
        slot = _pop(_SMALL, words, state)
        if hits[slot] == _FORGOTTEN:
            _let_go(slot, keys, words, hits, state)
            return
        if hits[slot] >= PROMOTE_HITS:
            if state[MAIN_LENGTH] >= state[MAIN_ROWS]:
                _evict_main(keys, words, hits, state)
            hits[slot] = 0
            _push(slot, _MAIN, words, state)
            continue
        key = np.int64(keys[slot])
        _let_go(slot, keys, words, hits, state)
        ghost = state[CAPACITY] + state[_PUT] % state[GHOSTS]
        _unchain(ghost, keys, words, state)
        _chain(key, ghost, keys, words, state)
        state[_PUT] += 1
        return


@njit(nogil=True, cache=True)
def drop_keys(rows: Any, base: Any, keys: Any, words: Any, hits: Any, state: Any) -> None:
    """Forget rows; their slots are free when they come to the end of their queue.

    Args:
        rows: row ids, int64 (n,).
        base: what makes them keys, when it is added.
        keys: see `Slots`, as the others.
        words: see `Slots`.
        hits: see `Slots`.
        state: see `Slots`.
    """
    for i in range(rows.shape[0]):
        entry = find(base + np.int64(rows[i]), keys, words, state)
        if entry >= 0:
            _unchain(entry, keys, words, state)
        if 0 <= entry < state[CAPACITY]:
            hits[entry] = _FORGOTTEN
            state[EMPTY] += 1


@njit(nogil=True, cache=True)
def keep_all(words: Any, state: Any) -> None:
    """Move the rows of small to main, in their order: rows that are known to be wanted.

    Main may have more than it should then; it gives way to small first.

    Args:
        words: see `Slots`.
        state: see `Slots`.
    """
    while state[SMALL_LENGTH] > 0:
        _push(_pop(_SMALL, words, state), _MAIN, words, state)
