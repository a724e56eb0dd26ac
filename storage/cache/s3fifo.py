"""S3-FIFO: which of so many slots holds which row (Yang, Zhang, Qiu, Yue, Rashmi, SOSP'23).

Three queues, first in first out: *small* takes new rows, a tenth of the capacity; *main* has the
rest; *ghost* remembers ids of rows that left small, the last so many as main may hold. Hits count
up to 3. A row that leaves small with two hits or more moves to main, its count cleared; else only
its id stays. A row at the end of main goes round again while it has hits, one fewer each time. A
miss whose id is in ghost enters main.

The plain form is `engramctl.caches.reference`; `Slots` says how they lie in memory. A key is found
by its hash chain: the chain's first entry is one line of memory, and each entry's key, its next
one, its hits and the record behind them are another.
"""

from typing import Any

import numpy as np

from engramctl.runtime.fmix64 import fmix64
from engramctl.runtime.kernel_cache import njit

MAX_HITS = 3
PROMOTE_HITS = 2
# Places in `state`: what the queues should hold; where ghosts and slots begin in `words`, words of
# each, and of a key; then the first and last slot and the length of each queue, ids ever put in
# ghost, the first slot of those that were freed, slots that were ever used, slots in a queue whose
# row was forgotten.
CAPACITY, SMALL_ROWS, MAIN_ROWS, GHOSTS, BUCKETS = range(5)
GHOSTS_AT, GHOST_WORDS, SLOTS_AT, SLOT_WORDS, KEY_WORDS = range(5, 10)
_SMALL, _MAIN, _FREE, _PUT, _USED, EMPTY = 10, 13, 16, 17, 18, 19
SMALL_LENGTH, MAIN_LENGTH = _SMALL + 2, _MAIN + 2
NUM_STATE = 20
_HEAD, _TAIL, _LENGTH = range(3)
# Words of an entry, from where it is: the slot behind it in its queue; hits below, a tag above; the
# next entry of its chain; its key; a record. A ghost begins with the third of them.
BEHIND, HITS, NEXT, KEY = -2, -1, 0, 1
_FORGOTTEN = 255  # as hits: the slot's row was forgotten, and no chain has it
_HITS_MASK = 255
_TAG_BITS = 16
_HALF = np.uint64(32)
# Nothing is made here that memory is taken for, so no references are counted: that costs more at
# every call, and more again for each branch, than a look-up does.
LEAN = {"nogil": True, "cache": True, "_nrt": False}


@njit(nogil=True, cache=True)
def empty_slots(words: Any, state: Any) -> None:
    """Hold no row: one call, so that an interrupt finds all of it done or nothing.

    Arguments: see `Slots`; capacities stay.
    """
    words[: state[BUCKETS]] = -1
    state[KEY_WORDS + 1 :] = 0
    for queue in (_SMALL, _MAIN):
        state[queue + _HEAD] = state[queue + _TAIL] = -1
    state[_FREE] = -1


@njit(**LEAN)
def chain_in(key: Any, chains: Any) -> Any:
    """Return the number of the hash chain, of so many, that a key is in."""
    high = fmix64(np.uint64(key)) >> _HALF
    return np.int64((high * np.uint64(chains)) >> _HALF)


@njit(**LEAN)
def shape_of(state: Any) -> Any:
    """Return what `place_in` needs, read once: to LLVM, whatever is written may have changed it."""
    return (
        state[CAPACITY], state[SLOTS_AT], state[SLOT_WORDS], state[GHOSTS_AT], state[GHOST_WORDS]
    )  # fmt: skip


@njit(**LEAN)
def place_in(entry: Any, shape: Any) -> Any:
    """Return where an entry is in `words`."""
    capacity, slots_at, slot_words, ghosts_at, ghost_words = shape
    if entry < capacity:
        return slots_at + slot_words * entry
    return ghosts_at + ghost_words * (entry - capacity)


@njit(**LEAN)
def chain_of(key: Any, state: Any) -> Any:
    """Return the number of the hash chain that a key is in: where `words` has its first entry."""
    return chain_in(key, state[BUCKETS])


@njit(**LEAN)
def place_of(entry: Any, state: Any) -> Any:
    """Return where an entry is in `words`."""
    return place_in(entry, shape_of(state))


@njit(**LEAN)
def has_key(place: Any, key: Any, words: Any, state: Any) -> Any:
    """Tell whether the entry at a place has a key."""
    if np.uint32(words[place + KEY]) != np.uint32(key):
        return False
    return state[KEY_WORDS] == 1 or words[place + KEY + 1] == np.int32(key >> 32)


@njit(**LEAN)
def find(key: Any, words: Any, state: Any) -> Any:
    """Return the entry of a key: its slot, CAPACITY or more for a ghost, -1 for none."""
    entry = np.int64(words[chain_of(key, state)])
    while entry >= 0:
        place = place_of(entry, state)
        if has_key(place, key, words, state):
            break
        entry = np.int64(words[place + NEXT])
    return entry


@njit(**LEAN)
def touch(place: Any, words: Any) -> None:
    """Count a hit of the slot at a place."""
    if words[place + HITS] & _HITS_MASK < MAX_HITS:
        words[place + HITS] += 1


@njit(**LEAN)
def tag_of(place: Any, words: Any) -> Any:
    """Return the tag of the slot at a place, uint16."""
    return np.uint16(np.uint32(words[place + HITS]) >> _TAG_BITS)


@njit(**LEAN)
def admit(key: Any, entry: Any, tag: Any, words: Any, state: Any) -> Any:
    """Make room for a key that was not found and return its slot, whatever that held.

    Args:
        key: int64.
        entry: what `find` gave: a ghost, or -1.
        tag: what is kept beside it, below 2^16.
        words: see `Slots`.
        state: see `Slots`.
    """
    if entry >= 0:
        _unchain(entry, words, state)
    while state[SMALL_LENGTH] + state[MAIN_LENGTH] >= state[CAPACITY]:
        if state[SMALL_LENGTH] >= state[SMALL_ROWS]:
            _evict_small(words, state)
        else:
            _evict_main(words, state)
    slot = state[_FREE]
    if slot >= 0:
        state[_FREE] = words[place_of(slot, state) + BEHIND]
    else:
        slot = state[_USED]
        state[_USED] += 1
    _chain(key, slot, words, state)
    words[place_of(slot, state) + HITS] = np.int32(np.uint32(tag) << _TAG_BITS)
    _push(slot, _MAIN if entry >= 0 else _SMALL, words, state)
    return slot


@njit(**LEAN)
def _push(slot: Any, queue: Any, words: Any, state: Any) -> None:
    """Put a slot at the end of a queue."""
    words[place_of(slot, state) + BEHIND] = -1
    if state[queue + _LENGTH] == 0:
        state[queue + _HEAD] = slot
    else:
        words[place_of(state[queue + _TAIL], state) + BEHIND] = slot
    state[queue + _TAIL] = slot
    state[queue + _LENGTH] += 1


@njit(**LEAN)
def _pop(queue: Any, words: Any, state: Any) -> Any:
    """Take the first slot of a queue that has one."""
    slot = state[queue + _HEAD]
    state[queue + _HEAD] = words[place_of(slot, state) + BEHIND]
    state[queue + _LENGTH] -= 1
    return slot


@njit(**LEAN)
def _key_at(place: Any, words: Any, state: Any) -> Any:
    """Return the key of the entry at a place."""
    low = np.int64(np.uint32(words[place + KEY]))
    if state[KEY_WORDS] == 1:
        return low
    return (np.int64(words[place + KEY + 1]) << 32) | low


@njit(**LEAN)
def _chain(key: Any, entry: Any, words: Any, state: Any) -> None:
    """Give an entry a key."""
    chain, place = chain_of(key, state), place_of(entry, state)
    words[place + KEY] = np.int32(np.uint32(key))
    if state[KEY_WORDS] > 1:
        words[place + KEY + 1] = np.int32(key >> 32)
    words[place + NEXT] = words[chain]
    words[chain] = entry


@njit(**LEAN)
def _unchain(entry: Any, words: Any, state: Any) -> None:
    """Take its key from an entry; nothing when it has none."""
    place = place_of(entry, state)
    before = chain_of(_key_at(place, words, state), state)
    while words[before] != entry:
        if words[before] < 0:
            return
        before = place_of(np.int64(words[before]), state) + NEXT
    words[before] = words[place + NEXT]


@njit(**LEAN)
def _hits(slot: Any, words: Any, state: Any) -> Any:
    return words[place_of(slot, state) + HITS] & _HITS_MASK


@njit(**LEAN)
def _set_hits(slot: Any, hits: Any, words: Any, state: Any) -> None:
    place = place_of(slot, state) + HITS
    words[place] = (words[place] & ~_HITS_MASK) | hits


@njit(**LEAN)
def _let_go(slot: Any, words: Any, state: Any) -> None:
    """Free the slot of a row that left its queue."""
    if _hits(slot, words, state) == _FORGOTTEN:
        state[EMPTY] -= 1
    else:
        _unchain(slot, words, state)
    words[place_of(slot, state) + BEHIND] = state[_FREE]
    state[_FREE] = slot


@njit(**LEAN)
def _evict_main(words: Any, state: Any) -> None:
    """Drop the first row of main that has no hits left; others go round."""
    while state[MAIN_LENGTH] > 0:
        slot = _pop(_MAIN, words, state)
        hits = _hits(slot, words, state)
        if hits == 0 or hits == _FORGOTTEN:
            _let_go(slot, words, state)
            return
        _set_hits(slot, hits - 1, words, state)
        _push(slot, _MAIN, words, state)


@njit(**LEAN)
def _evict_small(words: Any, state: Any) -> None:
    """Drop the first row of small that was not hit twice; its id goes to ghost."""
    while state[SMALL_LENGTH] > 0:
        slot = _pop(_SMALL, words, state)
        hits = _hits(slot, words, state)
        if hits == _FORGOTTEN:
            _let_go(slot, words, state)
            return
        if hits >= PROMOTE_HITS:
            if state[MAIN_LENGTH] >= state[MAIN_ROWS]:
                _evict_main(words, state)
            _set_hits(slot, 0, words, state)
            _push(slot, _MAIN, words, state)
            continue
        key = _key_at(place_of(slot, state), words, state)
        _let_go(slot, words, state)
        ghost = state[CAPACITY] + state[_PUT] % state[GHOSTS]
        if state[_PUT] >= state[GHOSTS]:
            _unchain(ghost, words, state)
        _chain(key, ghost, words, state)
        state[_PUT] += 1
        return


@njit(**LEAN)
def drop_keys(rows: Any, base: Any, words: Any, state: Any) -> None:
    """Forget rows; their slots are free when they come to the end of their queue.

    Args:
        rows: row ids, int64 (n,).
        base: what makes them keys, when it is added.
        words: see `Slots`.
        state: see `Slots`.
    """
    for i in range(rows.shape[0]):
        entry = find(base + np.int64(rows[i]), words, state)
        if entry >= 0:
            _unchain(entry, words, state)
        if 0 <= entry < state[CAPACITY]:
            _set_hits(entry, _FORGOTTEN, words, state)
            state[EMPTY] += 1


@njit(**LEAN)
def keep_all(words: Any, state: Any) -> None:
    """Move the rows of small to main, in their order: rows that are known to be wanted.

    Main may have more than it should then; it gives way to small first. Arguments: see `Slots`.
    """
    while state[SMALL_LENGTH] > 0:
        _push(_pop(_SMALL, words, state), _MAIN, words, state)
