"""The first steps of every CPU walk: token ids to canonical ids, and what each stops."""

from typing import Any

import numpy as np
from numba import njit

from engramctl.hashing.window import DEAD, START

STOPS, BLOCKS, READS_AS_FILL = 1, 2, 4
_NOT_DEAD, _DEAD, _PASS, _FILL = range(4)  # indices of NEGATIVE_RULES


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
    ids: Any,
    flags: Any,
) -> Any:
    """Fill `ids` and `flags` with sequence b's positions from C before `t_start` on.

    Returns the index of the first id the scheme cannot take, history counted first, or -1.
    """
    context = history_BC.shape[1]
    for s in range(ids.shape[0]):
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
        ids[s] = value
        flags[s] = flag
    return -1
