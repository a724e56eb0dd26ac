"""The walk in plain numpy: slow, obvious, and what the other kernels are tested against."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.hashing.kernels.plan import Plan
from engramctl.hashing.window import DEAD, START, window


def first_bad_id(ids_BS: NDArray[np.integer[Any]], plan: Plan) -> int:
    """Return the flat index of the first id the scheme cannot take, or -1."""
    negative = ids_BS < 0
    bad = ids_BS >= plan.canonical.num_ids
    if plan.boundary.negative == "dead":
        bad |= negative & (ids_BS != DEAD) & (ids_BS != START)
    elif plan.boundary.negative == "refuse":
        bad |= negative & (ids_BS != START)
    return int(np.argmax(bad)) if bad.any() else -1


def canonicalise(ids_BS: NDArray[np.integer[Any]], plan: Plan) -> NDArray[np.int64]:
    """Map token ids to canonical ids; negative marks pass through."""
    ids = ids_BS.astype(np.int64)
    token_map = plan.canonical.token_map
    if token_map is None:
        return ids
    return np.where(ids < 0, ids, token_map[np.maximum(ids, 0)])


def mixes(ids_BS: NDArray[np.integer[Any]], plan: Plan) -> list[NDArray[np.int64]]:
    """Return the XOR mix of every order 1..N, int64 (B, T) each.

    mix_n[t] = (x[t] * a_0) ^ (x[t-1] * a_1) ^ ... ^ (x[t-n+1] * a_{n-1})
    (spec/engram-paper.md section 1.2).
    """
    walk = window(canonicalise(ids_BS, plan), plan.boundary, plan.max_order)
    total = np.zeros_like(walk[0])
    result = []
    for ids_BT, multiplier in zip(walk, plan.multipliers_N, strict=True):
        total = total ^ (ids_BT * multiplier)
        result.append(total)
    return result


def row_ids(ids_BS: NDArray[np.integer[Any]], plan: Plan) -> NDArray[np.int64]:
    """Map every position to one row id a head.

    Args:
        ids_BS: token ids (B, max_order - 1 + T): history first, START where there is none.
        plan: the layer's constants.

    Returns:
        int64 (B, T, H).
    """
    mix_by_order = mixes(ids_BS, plan)
    columns = [
        mix_by_order[order - 1] % modulus + offset
        for order, modulus, offset in zip(plan.orders_H, plan.moduli_H, plan.offsets_H, strict=True)
    ]
    return np.stack(columns, axis=-1)
