"""A table of our mappings that a signal handler can read: fixed memory, no locks.

A mapping has a slot of three words: the address of its first byte, the one after its last page, and
where it faulted; 0 there means never. Slots are used in turn, so that a handler that is slow does
not see the next mapping in one that it reads.
"""

import ctypes
import mmap
import weakref
from collections import deque

import numpy as np
from numpy.typing import NDArray

SLOTS = 4096
# The words: whether any mapping has faulted; what sigaction told of the handler before ours; slots.
FAULTED, BEFORE, FIRST_SLOT = 0, 1, 32
SLOT_WORDS = 3
NUM_WORDS = FIRST_SLOT + SLOT_WORDS * SLOTS

WORDS: NDArray[np.int64] = np.zeros(NUM_WORDS, np.int64)
# True once any mapping of this process has faulted: read with every gather, so no call, no array.
any_fault = ctypes.c_int64.from_buffer(WORDS.data, 8 * FAULTED)
_free = deque(range(FIRST_SLOT, NUM_WORDS, SLOT_WORDS))  # its steps are atomic: no lock to inherit


def watch(data: NDArray[np.uint8]) -> int | None:
    """Give a mapping a slot, until `data` and all views of it are gone.

    Args:
        data: the whole mapping, uint8 (n,), the only array that was made of it.

    Returns:
        the slot; None: all are taken, and a fault in this mapping goes to the handler before ours.
    """
    try:
        slot = _free.popleft()
    except IndexError:
        return None
    first = data.ctypes.data
    WORDS[slot + 2] = 0
    WORDS[slot] = first
    WORDS[slot + 1] = first + -(-len(data) // mmap.PAGESIZE) * mmap.PAGESIZE  # in use from here on
    weakref.finalize(data, _forget, slot).atexit = False
    return slot


def _forget(slot: int) -> None:
    """Free a slot; the array goes before its memory is unmapped."""
    WORDS[slot + 1] = 0
    WORDS[slot] = 0
    _free.append(slot)


def fault_offset(slot: int | None) -> int | None:
    """Return how far into its mapping a fault was, in bytes; None: there was none."""
    if slot is None or not WORDS[slot + 2]:
        return None
    return int(WORDS[slot + 2] - WORDS[slot])
