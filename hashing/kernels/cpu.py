"""The walk for CPUs, in numba.

The cost is one modulo a head. A 64-bit divide does not vectorise, so the quotient is estimated in
float64 (`mix * (1 / p)`, truncated) and the remainder corrected: by one p either way, and by one
more upwards where truncation rounded a negative quotient up. The estimate is off by less than one
while 3 * 2^63 / 2^53 / p < 1, that is for p > 3072; smaller moduli take the exact `%`.

The mixes of all orders are spread out first, one a head, so that the modulo is one straight loop
over all heads: LLVM makes vectors of it, which it does not of a short loop an order.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engramctl.hashing.kernels.plan import Plan
from engramctl.hashing.window import DEAD, START

RECIPROCAL_MIN = 4096
_THREAD_ROWS = 1 << 18  # row ids below which a second thread costs more than it saves


@njit(nogil=True, cache=True)
def _walk(
    tokens_BT: Any,
    history_BC: Any,
    token_map: Any,
    num_ids: Any,
    negative: Any,
    fill: Any,
    stops: Any,
    blocks: Any,
    multipliers: Any,
    starts: Any,
    moduli: Any,
    inverses: Any,
    offsets: Any,
    use_reciprocal: Any,
    t_start: Any,
    t_stop: Any,
    out_BTH: Any,
) -> Any:
    """Hash positions [t_start, t_stop) of every sequence; return the first bad index or -1.

    `starts[n]` is the first head of order n + 2; heads lie order by order. The index counts history
    positions first, as the reference does.
    """
    context = history_BC.shape[1]
    num_orders = starts.shape[0] - 1
    length = t_stop - t_start
    num_heads = moduli.shape[0]
    mixes = np.empty(num_heads, np.int64)
    ids = np.empty(context + length, np.int64)
    flags = np.empty(context + length, np.uint8)
    for b in range(tokens_BT.shape[0]):
        for s in range(context + length):
            p = t_start - context + s
            value = np.int64(history_BC[b, context + p]) if p < 0 else np.int64(tokens_BT[b, p])
            flag = 0
            if value == START:
                flag = 7  # stops, blocks, reads as fill
            elif value < 0:
                if negative == 0 or (negative == 1 and value != DEAD):
                    return b * (context + tokens_BT.shape[1]) + context + p
                if negative == 1:
                    flag = 4
            elif value >= num_ids:
                return b * (context + tokens_BT.shape[1]) + context + p
            elif token_map.shape[0]:
                value = np.int64(token_map[value])
            for k in range(stops.shape[0]):
                if value == stops[k]:
                    flag |= 1
            for k in range(blocks.shape[0]):
                if value == blocks[k]:
                    flag |= 2
            ids[s] = value
            flags[s] = flag
        for t in range(length):
            s = context + t
            blocked = flags[s] & 2 != 0
            mix = (fill if flags[s] & 4 else ids[s]) * multipliers[0]
            for n in range(num_orders):
                s -= 1
                blocked = blocked or flags[s] & 1 != 0
                mix ^= (fill if blocked else ids[s]) * multipliers[n + 1]
                of_order = mixes[starts[n] : starts[n + 1]]
                for k in range(of_order.shape[0]):
                    of_order[k] = mix
            out_H = out_BTH[b, t_start + t]
            if use_reciprocal:
                for h in range(num_heads):
                    rest = mixes[h] - np.int64(np.float64(mixes[h]) * inverses[h]) * moduli[h]
                    rest += moduli[h] if rest < 0 else 0
                    rest += moduli[h] if rest < 0 else 0
                    rest -= moduli[h] if rest >= moduli[h] else 0
                    out_H[h] = rest + offsets[h]
            else:
                for h in range(num_heads):
                    out_H[h] = mixes[h] % moduli[h] + offsets[h]
    return -1


@cache
def _pool() -> ThreadPoolExecutor:
    import os

    return ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="engramctl-hash")


class CpuWalk:
    """One layer's compiled walk; build once, call for every batch."""

    def __init__(self, plan: Plan) -> None:
        """Flatten the plan into the kernel's arguments."""
        orders = range(2, plan.max_order + 2)
        starts = np.searchsorted(plan.orders_H, list(orders)).astype(np.int64)
        self._constants = (
            plan.map_or_empty,
            plan.canonical.num_ids,
            plan.negative_code,
            plan.boundary.fill,
            np.array(plan.boundary.stop, dtype=np.int64),
            np.array(plan.boundary.block, dtype=np.int64),
            plan.multipliers_N,
            starts,
            plan.moduli_H,
            1.0 / plan.moduli_H,
            plan.offsets_H,
            bool(plan.moduli_H.min() >= RECIPROCAL_MIN),
        )

    def __call__(
        self,
        tokens_BT: NDArray[Any],
        history_BC: NDArray[np.int64],
        out_BTH: NDArray[Any],
    ) -> int:
        """Fill `out_BTH`; return the index of the first bad id (history counted first), or -1."""
        length = tokens_BT.shape[1]
        pieces = 1
        if out_BTH.size > _THREAD_ROWS:
            pieces = _pool()._max_workers
        edges = [length * k // pieces for k in range(pieces + 1)]

        def piece(k: int) -> int:
            return int(
                _walk(tokens_BT, history_BC, *self._constants, edges[k], edges[k + 1], out_BTH)
            )

        if pieces == 1:
            return piece(0)
        found = [bad for bad in _pool().map(piece, range(pieces)) if bad >= 0]
        return min(found, default=-1)
