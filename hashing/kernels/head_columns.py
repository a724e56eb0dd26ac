"""A layer's heads as the vector loops take them: constants in columns of eight lanes."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.hashing.kernels.choice import LARGEST_VECTOR_MODULUS
from engramctl.hashing.kernels.plan import Plan
from engramctl.hashing.kernels.vector import LANES, LIMB_BITS

BLOCK = 128  # positions at a time: everything about them stays in the L1 cache
_LIMBS = 3
_EXACT_BITS = 53  # float64 holds every integer up to 2^53
_QUOTIENT_BITS = 45  # quotients up to here are rounded right, whatever the modulus
_WIDENED_BITS = 31  # `widen_block` reads ids as 32 bits with a sign


@dataclass(frozen=True)
class HeadTables:
    """What a layer's heads need, one column a lane; columns of no head divide by 1.

    A walk keeps rows of BLOCK values in one work array: the windows at distances 0..N-1, the
    mixes, then what is reduced.

    Attributes:
        weights: int64 (N,) multipliers of xor_mul; int64 (N, columns) weights of sums that may
            wrap; None where sums are exact in float64.
        constants: float64 (factors + 3, columns): factors, 1 / p, p and offset.
        groups_G4: int64 (G, 4): for each group of up to LANES heads, the distance after which
            their mix is complete, first column, first head and number of heads.
        rows: positions of the rows that are reduced, in the work array.
    """

    weights: NDArray[np.int64] | None
    constants: NDArray[np.float64]
    groups_G4: NDArray[np.int64]
    rows: tuple[int, ...]

    @classmethod
    def of(cls, plan: Plan) -> "HeadTables | None":
        """Lay a plan out; None where a modulus is too large for the vector loops."""
        if int(plan.moduli_H.max()) > LARGEST_VECTOR_MODULUS:
            return None
        limbs_at = (plan.max_order + 1) * BLOCK
        if plan.coefficients_NH is None:
            groups_G4 = _groups(plan.orders_H)
            rows = tuple(limbs_at + k * BLOCK for k in range(_LIMBS))
            return cls(plan.multipliers_N, _constants(plan, groups_G4), groups_G4, rows)
        groups_G4 = _groups(np.full_like(plan.orders_H, plan.max_order))
        if not _exact_in_float64(plan):
            weights = _in_columns(plan.coefficients_NH, groups_G4, 0)
            rows = tuple(d * BLOCK for d in range(plan.max_order))
            return cls(weights, _constants(plan, groups_G4), groups_G4, rows)
        factors = plan.coefficients_NH[:0:-1].astype(np.float64)
        rows = tuple(limbs_at + d * BLOCK for d in range(plan.max_order))[::-1]
        return cls(None, _constants(plan, groups_G4, factors), groups_G4, rows)


def _exact_in_float64(plan: Plan) -> bool:
    """Whether every sum of a linear mix, and its quotient, can be had in float64."""
    assert plan.coefficients_NH is not None
    largest = max(plan.canonical.num_canonical, plan.boundary.fill + 1)
    weights = plan.coefficients_NH
    if largest > 2**_WIDENED_BITS or plan.boundary.negative == "pass":
        return False
    if weights.min() < 0 or (weights[0] != 1).any():
        return False
    sums_H = [largest * sum(map(int, column)) for column in weights.T]
    return all(
        total < 2**_EXACT_BITS and total < modulus << _QUOTIENT_BITS
        for total, modulus in zip(sums_H, map(int, plan.moduli_H), strict=True)
    )


def _groups(orders_H: NDArray[np.int64]) -> NDArray[np.int64]:
    """Cut the heads of each order into groups of LANES."""
    groups: list[tuple[int, ...]] = []
    for order in np.unique(orders_H):
        first, last = np.searchsorted(orders_H, [order, order + 1])
        for head in range(first, last, LANES):
            groups.append((order - 1, len(groups) * LANES, head, min(LANES, last - head)))
    return np.array(groups, np.int64)


def _in_columns(values: NDArray[Any], groups_G4: NDArray[np.int64], empty: int) -> NDArray[Any]:
    """Spread (.., H) over (.., columns), `empty` where there is no head."""
    spread = np.full((*values.shape[:-1], len(groups_G4) * LANES), empty, values.dtype)
    for _, column, head, count in groups_G4:
        spread[..., column : column + count] = values[..., head : head + count]
    return spread


def _constants(
    plan: Plan, groups_G4: NDArray[np.int64], factors: NDArray[np.float64] | None = None
) -> NDArray[np.float64]:
    moduli = [int(modulus) for modulus in plan.moduli_H]
    if factors is None:
        powers = [pow(2, limb * LIMB_BITS, p) for limb in (2, 1) for p in moduli]
        factors = np.array(powers, np.float64).reshape(2, -1)
    columns = [
        _in_columns(factors, groups_G4, 0),
        _in_columns(1.0 / plan.moduli_H[None], groups_G4, 1),
        _in_columns(plan.moduli_H[None].astype(np.float64), groups_G4, 1),
        _in_columns(plan.offsets_H[None].astype(np.float64), groups_G4, 0),
    ]
    return np.ascontiguousarray(np.concatenate(columns))
