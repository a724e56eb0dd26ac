"""The longest match for CPUs, in numba.

A look-up waits for memory, not for arithmetic: a table of a million n-grams exceeds the caches. So
positions go through the trie together, a block of them one id deeper at a time; all first probes of
a step are independent loads that the processor overlaps, and only the positions that matched go on.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.hashing.dictionary.ngram_table import (
    FREE,
    NO_ROW,
    NgramTable,
    child_key,
    find,
    home,
    pair_key,
)
from engramctl.hashing.kernels.cpu import WORKERS
from engramctl.hashing.kernels.ids import BLOCKS, READS_AS_FILL, STOPS, read_ids
from engramctl.hashing.kernels.plan import IdRules
from engramctl.runtime.kernel_cache import njit

BLOCK_POSITIONS = 512  # positions that go through the trie together
THREAD_POSITIONS = 1 << 14  # positions below which a second thread costs more than it saves


@njit(nogil=True, cache=True)
def _step(
    keys: Any, ids: Any, flags: Any, context: Any, d: Any, alive: Any, at: Any, nodes: Any,
    wanted: Any, homes: Any, seen: Any, deepest: Any,
) -> Any:  # fmt: skip
    """Take the first `alive` positions of `at` one id deeper, to distance d; return who is left."""
    num_slots = keys.shape[0]
    going = 0
    for k in range(alive):
        s = context + at[k]
        if flags[s - d] & (STOPS | READS_AS_FILL) == 0:
            at[going] = at[k]
            older = ids[s - d]
            key = pair_key(ids[s], older) if d == 1 else child_key(nodes[k], older)
            wanted[going] = key
            homes[going] = home(key, num_slots)
            going += 1
    for k in range(going):
        seen[k] = keys[homes[k]]
    alive = going
    going = 0
    for k in range(alive):
        slot = homes[k]
        if seen[k] != wanted[k] and seen[k] != FREE:
            slot = find(keys, wanted[k], slot)
        if keys[slot] == wanted[k]:
            at[going] = at[k]
            nodes[going] = slot
            deepest[at[k]] = np.int64(slot)
            going += 1
    return going


@njit(nogil=True, cache=True)
def _match(
    tokens_BT: Any,
    history_BC: Any,
    token_map: Any,
    num_ids: Any,
    negative: Any,
    fill: Any,
    stops: Any,
    blocks: Any,
    keys: Any,
    rows: Any,
    t_start: Any,
    t_stop: Any,
    out_BT: Any,
) -> Any:
    """Match positions [t_start, t_stop) of every sequence; return the first bad index or -1.

    The index counts history first, as elsewhere.
    """
    context = history_BC.shape[1]
    size = context + BLOCK_POSITIONS
    work = np.empty(2 * size, np.int64)
    ids, flags = work[:size], work[size:]
    at = np.empty(BLOCK_POSITIONS, np.int64)
    deepest = np.empty(BLOCK_POSITIONS, np.int64)
    nodes, wanted = np.empty(BLOCK_POSITIONS, np.uint64), np.empty(BLOCK_POSITIONS, np.uint64)
    homes, seen = np.empty(BLOCK_POSITIONS, np.uint64), np.empty(BLOCK_POSITIONS, np.uint64)
    for b in range(tokens_BT.shape[0]):
        for first in range(t_start, t_stop, BLOCK_POSITIONS):
            count = min(BLOCK_POSITIONS, t_stop - first)
            bad = read_ids(
                tokens_BT, history_BC, b, token_map, num_ids, negative, fill, stops, blocks,
                first, work, 0, size, context + count,
            )  # fmt: skip
            if bad >= 0:
                return b * (context + tokens_BT.shape[1]) + bad
            alive = 0
            for t in range(count):
                at[alive] = t
                alive += flags[context + t] & (BLOCKS | READS_AS_FILL) == 0
                deepest[t] = -1
            d = 1
            while alive > 0 and d <= context:
                alive = _step(
                    keys, ids, flags, context, d, alive, at, nodes, wanted, homes, seen, deepest
                )
                d += 1
            for t in range(count):
                out_BT[b, first + t] = NO_ROW if deepest[t] < 0 else rows[deepest[t]]
    return -1


class LongestMatch:
    """One dictionary's compiled walk; build once, call for every batch."""

    def __init__(self, rules: IdRules, table: NgramTable) -> None:
        """Flatten rules and table into the kernel's arguments."""
        self.constants = (
            rules.map_or_empty,
            rules.canonical.num_ids,
            rules.negative_code,
            rules.boundary.fill,
            np.array(rules.boundary.stop, dtype=np.int64),
            np.array(rules.boundary.block, dtype=np.int64),
            table.keys,
            table.rows,
        )

    def __call__(
        self,
        tokens_BT: NDArray[Any],
        history_BC: NDArray[np.int64],
        out_BT: NDArray[Any],
    ) -> int:
        """Fill `out_BT`; return the index of the first bad id (history counted first), or -1."""
        length = tokens_BT.shape[1]
        pieces = WORKERS.count if out_BT.size > THREAD_POSITIONS else 1
        edges = [length * k // pieces for k in range(pieces + 1)]

        def piece(k: int) -> int:
            return int(
                _match(tokens_BT, history_BC, *self.constants, edges[k], edges[k + 1], out_BT)
            )

        if pieces == 1:
            return piece(0)
        found = [bad for bad in WORKERS.each(pieces, piece) if bad >= 0]
        return min(found, default=-1)
