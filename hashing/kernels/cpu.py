"""The walk for CPUs: numba around the vector loops of `engramctl.hashing.kernels.vector`.

Positions are taken in blocks of one sequence. Nearly every block of a real text holds nothing but
ordinary ids, and there a window is the ids themselves, shifted; only blocks with a start, a stop or
a mask form their windows one by one.

What bounds it: 24 heads are 96 bytes a token, written once; two threads come near the rate at which
memory can be filled. Stores past the caches were tried and gained nothing.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.hashing.kernels import reference
from engramctl.hashing.kernels.head_columns import BLOCK, HeadTables
from engramctl.hashing.kernels.ids import form_windows, read_ids, read_plain
from engramctl.hashing.kernels.plan import Plan
from engramctl.hashing.kernels.vector import (
    LANES,
    mix_block,
    reduce_block,
    reduce_sums,
    widen_block,
)
from engramctl.hashing.walk.batch import NO_ROW
from engramctl.runtime.kernel_cache import njit
from engramctl.runtime.threads import Workers

WORKERS = Workers("engramctl-hash")
_THREAD_ROWS = 1 << 20  # row ids below which a second thread costs more than it saves


@njit(nogil=True, inline="always")
def mix_and_reduce(
    work: Any,
    source: Any,
    step: Any,
    mixes: Any,
    rows: Any,
    count: Any,
    multipliers: Any,
    constants: Any,
    groups_G4: Any,
    out_BTH: Any,
    start: Any,
) -> None:
    """xor_mul: one mix grows with the distance; the heads of an order take it when it is theirs.

    The ids at distance d of `count` positions lie at `source + d * step` in `work`, as in the two
    functions below.
    """
    stride, g = out_BTH.shape[2], 0
    for d in range(len(multipliers)):
        mix_block(work, source + d * step, multipliers[d], mixes, rows[0], BLOCK, count, d > 0)
        while g < len(groups_G4) and groups_G4[g, 0] == d:
            _, lane, head, heads = groups_G4[g]
            reduce_block(work, rows, count, constants, lane, heads, out_BTH, start + head, stride)
            g += 1


@njit(nogil=True, inline="always")
def reduce_exact(
    work: Any,
    source: Any,
    step: Any,
    rows: Any,
    count: Any,
    constants: Any,
    groups_G4: Any,
    out_BTH: Any,
    start: Any,
) -> None:
    """Linear mixes whose sums float64 holds: the ids themselves are what is folded."""
    stride = out_BTH.shape[2]
    for d in range(len(rows)):
        widen_block(work, source + d * step, rows[len(rows) - 1 - d], count)
    for g in range(len(groups_G4)):
        _, lane, head, heads = groups_G4[g]
        reduce_block(work, rows, count, constants, lane, heads, out_BTH, start + head, stride)


@njit(nogil=True, inline="always")
def reduce_wrapping(
    work: Any,
    source: Any,
    rows: Any,
    count: Any,
    weights: Any,
    constants: Any,
    groups_G4: Any,
    out_BTH: Any,
    start: Any,
) -> None:
    """Linear mixes in int64, which may wrap; ids in a plain block are spread out by distance."""
    stride = out_BTH.shape[2]
    if source != 0:
        for d in range(len(rows)):
            for s in range(count):
                work[d * BLOCK + s] = work[source - d + s]
    for g in range(len(groups_G4)):
        _, lane, head, heads = groups_G4[g]
        reduce_sums(
            work, rows, count, weights, constants, lane, heads, out_BTH, start + head, stride
        )


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
    weights: Any,
    constants: Any,
    groups_G4: Any,
    rows: Any,
    first: Any,
    last: Any,
    out_BTH: Any,
) -> Any:
    """Hash positions [first, last) of the flattened batch; return the first bad index or -1.

    `weights`, `constants`, `groups_G4` and `rows` are as in HeadTables. The index counts
    history first, as elsewhere.
    """
    length, context = tokens_BT.shape[1], history_BC.shape[1]
    num_heads = out_BTH.shape[2]
    mixes = (context + 1) * BLOCK
    ids_at = mixes + (1 + len(rows)) * BLOCK
    flags_at = ids_at + context + BLOCK + LANES
    work = np.empty(flags_at + context + BLOCK, np.int64)
    while first < last:
        b, t = first // length, first % length
        n = min(BLOCK, length - t, last - first)
        source, step = ids_at + context, -1
        if t < context or not read_plain(
            tokens_BT, b, t - context, token_map, num_ids, stops, blocks, work, ids_at, context + n
        ):
            bad = read_ids(
                tokens_BT, history_BC, b, token_map, num_ids, negative, fill, stops, blocks, t,
                work, ids_at, flags_at, context + n,
            )  # fmt: skip
            if bad >= 0:
                return b * (context + length) + bad
            form_windows(work, ids_at, flags_at, n, context, fill)
            source, step = 0, BLOCK
        start = first * num_heads
        if weights is None:
            reduce_exact(work, source, step, rows, n, constants, groups_G4, out_BTH, start)
        elif weights.ndim == 2:
            reduce_wrapping(work, source, rows, n, weights, constants, groups_G4, out_BTH, start)
        else:
            mix_and_reduce(
                work, source, step, mixes, rows, n, weights, constants, groups_G4, out_BTH, start
            )
        first += n
    return -1


class CpuWalk:
    """One layer's compiled walk; build once, call for every batch."""

    def __init__(self, plan: Plan) -> None:
        """Flatten the plan into the kernel's arguments."""
        self.context = plan.max_order - 1
        self.num_heads = len(plan.orders_H)
        self.dtype, self.num_rows = plan.dtype, plan.num_rows
        self._plan = plan
        tables = HeadTables.of(plan)
        self.constants = (
            None
            if tables is None
            else (
                plan.map_or_empty,
                plan.canonical.num_ids,
                plan.negative_code,
                plan.boundary.fill,
                np.array(plan.boundary.stop, dtype=np.int64),
                np.array(plan.boundary.block, dtype=np.int64),
                tables.weights,
                tables.constants,
                tables.groups_G4,
                tables.rows,
            )
        )

    def __call__(
        self, tokens_BT: NDArray[Any], history_BC: NDArray[np.int64], out_BTH: NDArray[Any]
    ) -> int:
        """Fill `out_BTH`; return the index of the first bad id (history counted first), or -1.

        Args:
            tokens_BT: int32 or int64, C-contiguous.
            history_BC: exactly N - 1 ids before each sequence, START where there is none.
            out_BTH: C-contiguous, any integers.
        """
        constants = self.constants
        if constants is None:
            return self._by_reference(tokens_BT, history_BC, out_BTH)
        positions = tokens_BT.size
        if positions * self.num_heads < _THREAD_ROWS:
            return _walk(  # type: ignore[no-any-return]
                tokens_BT, history_BC, *constants, 0, positions, out_BTH
            )
        pieces = WORKERS.count
        edges = [positions * k // pieces for k in range(pieces + 1)]

        def piece(k: int) -> int:
            return _walk(  # type: ignore[no-any-return]
                tokens_BT, history_BC, *constants, edges[k], edges[k + 1], out_BTH
            )

        found = [bad for bad in WORKERS.each(pieces, piece) if bad >= 0]
        return min(found, default=-1)

    def mark(self, ids_BS: NDArray[np.integer[Any]], out_BTH: NDArray[Any]) -> None:
        """Fill `out_BTH` once a bad id was found: -1 in every head of the windows that hold one.

        Args:
            ids_BS: token ids, N - 1 positions of history first.
            out_BTH: C-contiguous, signed integers.
        """
        bad_BS = reference.bad_ids(ids_BS, self._plan)
        good_BS = np.where(bad_BS, 0, ids_BS)
        past_BC, tokens_BT = np.split(good_BS, [self.context], axis=1)
        self(np.ascontiguousarray(tokens_BT), np.ascontiguousarray(past_BC), out_BTH)
        out_BTH[reference.bad_windows(bad_BS, self.context + 1)] = NO_ROW

    def _by_reference(
        self, tokens_BT: NDArray[Any], history_BC: NDArray[np.int64], out_BTH: NDArray[Any]
    ) -> int:
        """Moduli beyond the vector loops, which no released scheme has."""
        ids_BS = np.concatenate([history_BC, tokens_BT.astype(np.int64)], axis=1)
        bad = reference.first_bad_id(ids_BS, self._plan)
        if bad < 0:
            out_BTH[:] = reference.row_ids(ids_BS, self._plan)
        return bad
