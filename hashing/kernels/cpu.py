"""The walk for CPUs, in numba.

The cost is one modulo a head. A 64-bit divide does not vectorise, so the quotient is estimated in
float64 (`mix * (1 / p)`, truncated) and the remainder corrected: by one p either way, and by one
more upwards where truncation rounded a negative quotient up. The estimate is off by less than one
while 3 * 2^63 / 2^53 / p < 1, that is for p > 3072; smaller moduli take the exact `%`.

The mixes of all orders are spread out first, one a head, so that the modulo is one straight loop
over all heads: LLVM makes vectors of it, which it does not of a short loop an order. That loop
stands in both kernels: moved to one helper, inlined or not, it ran at less than half the speed.
"""

from concurrent.futures import ThreadPoolExecutor
from functools import cache
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import NDArray

from engramctl.hashing.kernels.ids import BLOCKS, READS_AS_FILL, STOPS, read_ids
from engramctl.hashing.kernels.plan import Plan

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

    `starts[n]` is the first head of order n + 2. The index counts history first, as elsewhere.
    """
    context = history_BC.shape[1]
    num_orders = starts.shape[0] - 1
    length = t_stop - t_start
    num_heads = moduli.shape[0]
    mixes = np.empty(num_heads, np.int64)
    ids = np.empty(context + length, np.int64)
    flags = np.empty(context + length, np.uint8)
    for b in range(tokens_BT.shape[0]):
        bad = read_ids(
            tokens_BT, history_BC, b, token_map, num_ids, negative, fill, stops, blocks,
            t_start, ids, flags,
        )  # fmt: skip
        if bad >= 0:
            return b * (context + tokens_BT.shape[1]) + bad
        for t in range(length):
            s = context + t
            blocked = flags[s] & BLOCKS != 0
            mix = (fill if flags[s] & READS_AS_FILL else ids[s]) * multipliers[0]
            for n in range(num_orders):
                s -= 1
                blocked = blocked or flags[s] & STOPS != 0
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


@njit(nogil=True, cache=True)
def _walk_linear(
    tokens_BT: Any,
    history_BC: Any,
    token_map: Any,
    num_ids: Any,
    negative: Any,
    fill: Any,
    stops: Any,
    blocks: Any,
    coefficients_NH: Any,
    firsts: Any,
    moduli: Any,
    inverses: Any,
    offsets: Any,
    use_reciprocal: Any,
    t_start: Any,
    t_stop: Any,
    out_BTH: Any,
) -> Any:
    """As `_walk`, for weighted sums: one sum a head. `firsts[d]` is the first head that reads c_d.

    Sums wrap in 64 bits; those of exact mixes never get there.
    """
    context = history_BC.shape[1]
    length = t_stop - t_start
    num_heads = moduli.shape[0]
    sums = np.empty(num_heads, np.int64)
    ids = np.empty(context + length, np.int64)
    flags = np.empty(context + length, np.uint8)
    for b in range(tokens_BT.shape[0]):
        bad = read_ids(
            tokens_BT, history_BC, b, token_map, num_ids, negative, fill, stops, blocks,
            t_start, ids, flags,
        )  # fmt: skip
        if bad >= 0:
            return b * (context + tokens_BT.shape[1]) + bad
        for t in range(length):
            s = context + t
            blocked = flags[s] & BLOCKS != 0
            current = np.int64(fill if flags[s] & READS_AS_FILL else ids[s])
            for h in range(num_heads):
                sums[h] = current * coefficients_NH[0, h]
            for d in range(1, context + 1):
                blocked = blocked or flags[s - d] & STOPS != 0
                seen = np.int64(fill if blocked else ids[s - d])
                for h in range(firsts[d], num_heads):
                    sums[h] += seen * coefficients_NH[d, h]
            out_H = out_BTH[b, t_start + t]
            if use_reciprocal:
                for h in range(num_heads):
                    rest = sums[h] - np.int64(np.float64(sums[h]) * inverses[h]) * moduli[h]
                    rest += moduli[h] if rest < 0 else 0
                    rest += moduli[h] if rest < 0 else 0
                    rest -= moduli[h] if rest >= moduli[h] else 0
                    out_H[h] = rest + offsets[h]
            else:
                for h in range(num_heads):
                    out_H[h] = sums[h] % moduli[h] + offsets[h]
    return -1


@cache
def _pool() -> ThreadPoolExecutor:
    import os

    return ThreadPoolExecutor(len(os.sched_getaffinity(0)), thread_name_prefix="engramctl-hash")


class CpuWalk:
    """One layer's compiled walk; build once, call for every batch."""

    def __init__(self, plan: Plan) -> None:
        """Flatten the plan into the kernel's arguments."""
        weights_NH = plan.coefficients_NH
        if weights_NH is None:
            self._kernel = _walk
            weights, orders = plan.multipliers_N, range(2, plan.max_order + 2)
        else:
            self._kernel = _walk_linear
            weights, orders = weights_NH, range(1, plan.max_order + 1)
        starts = np.searchsorted(plan.orders_H, list(orders)).astype(np.int64)
        self._constants = (
            plan.map_or_empty,
            plan.canonical.num_ids,
            plan.negative_code,
            plan.boundary.fill,
            np.array(plan.boundary.stop, dtype=np.int64),
            np.array(plan.boundary.block, dtype=np.int64),
            weights,
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
                self._kernel(
                    tokens_BT, history_BC, *self._constants, edges[k], edges[k + 1], out_BTH
                )
            )

        if pieces == 1:
            return piece(0)
        found = [bad for bad in _pool().map(piece, range(pieces)) if bad >= 0]
        return min(found, default=-1)
