"""The walk in plain numpy: slow, obvious, and what the other kernels are tested against."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.hashing.kernels.plan import IdRules, Plan
from engramctl.hashing.walk.batch import NO_ROW
from engramctl.hashing.walk.mix import signed64
from engramctl.hashing.walk.window import DEAD, START, window


def bad_ids(ids_BS: NDArray[np.integer[Any]], plan: IdRules) -> NDArray[np.bool_]:
    """Mark the ids the scheme cannot take, bool (B, S)."""
    negative = ids_BS < 0
    bad: NDArray[np.bool_] = ids_BS >= plan.canonical.num_ids
    if plan.boundary.negative in ("dead", "fill"):
        bad |= negative & (ids_BS != DEAD) & (ids_BS != START)
    elif plan.boundary.negative == "refuse":
        bad |= negative & (ids_BS != START)
    return bad


def first_bad_id(ids_BS: NDArray[np.integer[Any]], plan: IdRules) -> int:
    """Return the flat index of the first id the scheme cannot take, or -1."""
    bad_BS = bad_ids(ids_BS, plan)
    return int(np.argmax(bad_BS)) if bad_BS.any() else -1


def bad_windows(bad_BS: NDArray[np.bool_], max_order: int) -> NDArray[np.bool_]:
    """Mark the positions with a bad id among the N that end there, bool (B, T).

    All N count, wherever look-back stops: every kernel reads them anyway.

    Args:
        bad_BS: which ids are bad, max_order - 1 positions of history first.
        max_order: N.
    """
    length = bad_BS.shape[1] - max_order + 1
    bad_BT = bad_BS[:, :length]
    for d in range(1, max_order):
        bad_BT = bad_BT | bad_BS[:, d : d + length]
    return bad_BT


def canonicalise(ids_BS: NDArray[np.integer[Any]], plan: IdRules) -> NDArray[np.int64]:
    """Map token ids to canonical ids; marks pass through, but -1 where it means the fill."""
    ids = ids_BS.astype(np.int64)
    token_map = plan.canonical.token_map
    if token_map is not None:
        ids = np.where(ids < 0, ids, token_map[np.maximum(ids, 0)])
    if plan.boundary.negative == "fill":
        ids = np.where(ids == DEAD, plan.boundary.fill, ids)
    return ids


def mixes(ids_BS: NDArray[np.integer[Any]], plan: Plan) -> list[NDArray[np.int64]]:
    """Return the XOR mix of every order 1..N, int64 (B, T) each.

    mix_n[t] = (x[t] * a_0) ^ (x[t-1] * a_1) ^ ... ^ (x[t-n+1] * a_{n-1}) (`engram_demo_v1.py`).
    """
    walk = window(canonicalise(ids_BS, plan), plan.boundary, plan.max_order)
    total = np.zeros_like(walk[0])
    result = []
    for ids_BT, multiplier in zip(walk, plan.multipliers_N, strict=True):
        total = total ^ (ids_BT * multiplier)
        result.append(total)
    return result


def poly_slots(
    walk: Sequence[NDArray[np.int64]], base: int, modulus: int, *, exact: bool
) -> NDArray[np.int64]:
    """Return (sum of c_d * base^d) mod M, or the same in wrapping int64.

    Exact: the powers are iterated modulo M and every term is reduced (LongCat). Else the powers and
    the sum wrap, as in a literal port of the paper's pseudocode (section 1).
    """
    total = np.zeros_like(walk[0])
    power = 1 % modulus if exact else 1
    for ids_BT in walk:
        if exact:
            total = (total + ids_BT * power % modulus) % modulus
            power = power * base % modulus
        else:
            total = total + ids_BT * np.int64(power)
            power = signed64(power * base)
    return total % modulus


def rollpoly_slots(walk: Sequence[NDArray[np.int64]], base: int, modulus: int) -> NDArray[np.int64]:
    """Return (sum of w_i * base^i, w the window oldest first, wrapping in int64) mod M.

    Source: BLT, arXiv 2412.09871.
    """
    total, power = np.zeros_like(walk[0]), 1
    for ids_BT in reversed(walk):
        total = total + ids_BT * np.int64(power)
        power = signed64(power * base)
    return total % modulus


def row_ids(ids_BS: NDArray[np.integer[Any]], plan: Plan) -> NDArray[np.int64]:
    """Map every position to one row id a head.

    Args:
        ids_BS: token ids (B, max_order - 1 + T): history first, START where there is none.
        plan: the layer's constants.

    Returns:
        int64 (B, T, H).
    """
    heads = list(zip(plan.orders_H, plan.moduli_H, plan.offsets_H, strict=True))
    if plan.bases_H is None:
        mix_by_order = mixes(ids_BS, plan)
        columns = [mix_by_order[n - 1] % modulus + offset for n, modulus, offset in heads]
        return np.stack(columns, axis=-1)
    walk = window(canonicalise(ids_BS, plan), plan.boundary, plan.max_order)
    columns = []
    for (order, modulus, offset), base in zip(heads, plan.bases_H, strict=True):
        if plan.mix.kind == "rollpoly":
            slots = rollpoly_slots(walk[:order], base, int(modulus))
        else:
            exact = plan.mix.width == "exact"
            slots = poly_slots(walk[:order], base, int(modulus), exact=exact)
        columns.append(slots + offset)
    return np.stack(columns, axis=-1)


def marked_row_ids(ids_BS: NDArray[np.integer[Any]], plan: Plan) -> NDArray[np.int64]:
    """Map every position to row ids as `row_ids`, or to -1 in every head where its window is bad.

    Returns:
        int64 (B, T, H).
    """
    bad_BS = bad_ids(ids_BS, plan)
    rows_BTH = row_ids(np.where(bad_BS, 0, ids_BS), plan)
    rows_BTH[bad_windows(bad_BS, plan.max_order)] = NO_ROW
    return rows_BTH


def longest_matches(
    ids_BS: NDArray[np.integer[Any]],
    rules: IdRules,
    orders: Sequence[int],
    row_of: Mapping[tuple[int, ...], int],
) -> NDArray[np.int64]:
    """Map every position to the row of the longest n-gram that ends there, or -1.

    A window's fills match nothing: here they read as START, which no n-gram holds.

    Args:
        ids_BS: token ids (B, orders[-1] - 1 + T): history first, START where there is none.
        rules: token map and boundary.
        orders: ascending lengths.
        row_of: canonical ids, oldest first -> row.

    Returns:
        int64 (B, T).
    """
    unfilled = replace(rules.boundary, fill=START)
    walk = np.stack(window(canonicalise(ids_BS, rules), unfilled, orders[-1]), axis=-1)
    rows_BT = np.full(walk.shape[:2], -1, np.int64)
    for place in np.ndindex(rows_BT.shape):
        newest_first = walk[place].tolist()
        for order in orders:
            rows_BT[place] = row_of.get(tuple(newest_first[order - 1 :: -1]), rows_BT[place])
    return rows_BT
