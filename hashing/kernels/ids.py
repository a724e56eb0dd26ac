"""The first steps of every CPU walk: token ids to canonical ids, and the windows they form."""

from typing import Any

import numpy as np

from engramctl.hashing.kernels.head_columns import BLOCK
from engramctl.hashing.walk.window import DEAD, START
from engramctl.runtime.kernel_cache import njit

STOPS, BLOCKS, READS_AS_FILL = 1, 2, 4
_NOT_DEAD, _DEAD, _PASS, _FILL = range(4)  # indices of NEGATIVE_RULES


@njit(nogil=True, inline="always")  # a call would count references, atomically, in every block
def read_plain(
    tokens_BT: Any,
    b: Any,
    first: Any,
    token_map: Any,
    num_ids: Any,
    stops: Any,
    blocks: Any,
    work: Any,
    at: Any,
    count: Any,
) -> Any:
    """Write `count` canonical ids of sequence b, from token `first` on, to `work[at:]`.

    Returns False, and leaves them undefined, when one is negative, too large, stops or blocks: such
    blocks need `read_ids`.
    """
    # Unsigned, so that numba adds no test for negative indices and LLVM makes vectors.
    first, at, count = np.uint64(first), np.uint64(at), np.uint64(count)
    special = False
    for s in range(count):
        value = np.int64(tokens_BT[b, first + s])
        special |= (value < 0) | (value >= num_ids)
        work[at + s] = value
    if special:
        return False
    if token_map.shape[0]:
        for s in range(count):
            work[at + s] = token_map[work[at + s]]
    for k in range(stops.shape[0]):
        for s in range(count):
            special |= work[at + s] == stops[k]
    for k in range(blocks.shape[0]):
        for s in range(count):
            special |= work[at + s] == blocks[k]
    return not special


@njit(nogil=True, cache=True)
def read_ids(
    tokens_BT: Any,
    history_BC: Any,
    b: Any,
    token_map: Any,
    num_ids: Any,
    negative: Any,
    fill: Any,
    stops: Any,
    blocks: Any,
    t_start: Any,
    work: Any,
    at: Any,
    flags_at: Any,
    count: Any,
) -> Any:
    """Write `count` canonical ids and flags of sequence b, from C before `t_start` on.

    Ids go to `work[at:]`, flags to `work[flags_at:]`. Returns the index of the first id the scheme
    cannot take, history counted first, or -1.
    """
    context = history_BC.shape[1]
    for s in range(count):
        p = t_start - context + s
        value = np.int64(history_BC[b, context + p]) if p < 0 else np.int64(tokens_BT[b, p])
        flag = 0
        if value == START:
            flag = STOPS | BLOCKS | READS_AS_FILL
        elif value < 0:
            if negative == _NOT_DEAD or (negative != _PASS and value != DEAD):
                return context + p
            if negative == _DEAD:
                flag = READS_AS_FILL
            elif negative == _FILL:
                value = np.int64(fill)
        elif value >= num_ids:
            return context + p
        elif token_map.shape[0]:
            value = np.int64(token_map[value])
        for k in range(stops.shape[0]):
            if value == stops[k]:
                flag |= STOPS
        for k in range(blocks.shape[0]):
            if value == blocks[k]:
                flag |= BLOCKS
        work[at + s] = value
        work[flags_at + s] = flag
    return -1


@njit(nogil=True, cache=True)
def form_windows(work: Any, at: Any, flags_at: Any, count: Any, context: Any, fill: Any) -> Any:
    """Write the id at distance d of every position t to `work[d * BLOCK + t]`, d = 0..C.

    `work[at:]` and `work[flags_at:]` are what `read_ids` gave: C positions of context, then
    `count` more.
    """
    for t in range(count):
        s = context + t
        blocked = work[flags_at + s] & BLOCKS != 0
        work[t] = fill if work[flags_at + s] & READS_AS_FILL else work[at + s]
        for d in range(1, context + 1):
            blocked = blocked or work[flags_at + s - d] & STOPS != 0
            work[d * BLOCK + t] = fill if blocked else work[at + s - d]
