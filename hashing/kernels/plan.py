"""What a kernel needs of one layer, as flat arrays."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engramctl.hashing.walk.heads import LayerHash
from engramctl.hashing.walk.mix import Mix, coefficients
from engramctl.hashing.walk.token_map import Canonical
from engramctl.hashing.walk.window import NEGATIVE_RULES, Boundary


@dataclass(frozen=True)
class IdRules:
    """What every walk knows of ids before it looks anything up.

    Attributes:
        canonical: token map.
        boundary: fill, stops, blocks.
    """

    canonical: Canonical
    boundary: Boundary

    @property
    def map_or_empty(self) -> NDArray[np.int32]:
        """The token map; an empty array stands for the identity."""
        token_map = self.canonical.token_map
        return np.empty(0, np.int32) if token_map is None else token_map

    @property
    def negative_code(self) -> int:
        """The boundary's rule for negative ids, as a number for kernels."""
        return NEGATIVE_RULES.index(self.boundary.negative)


@dataclass(frozen=True)
class Plan(IdRules):
    """One layer's constants. `row = floor_mod(mix(order), modulus) + offset`.

    Attributes:
        max_order: N.
        orders_H: order of each head, ascending, int64 (H,).
        moduli_H: int64 (H,).
        offsets_H: int64 (H,).
        multipliers_N: int64 (N,); empty in linear mixes.
        mix: how windows are mixed.
        bases_H: the base of each head of a linear mix, else None.
        coefficients_NH: int64 (N, H), the weight of c_d in each head of a linear mix, 0 from the
            head's order on; None for xor_mul.
        num_rows: row ids lie in [0, num_rows).
        dtype: int32 when every row id fits, else int64.
    """

    max_order: int
    orders_H: NDArray[np.int64]
    moduli_H: NDArray[np.int64]
    offsets_H: NDArray[np.int64]
    multipliers_N: NDArray[np.int64]
    mix: Mix
    bases_H: list[int] | None
    coefficients_NH: NDArray[np.int64] | None
    num_rows: int
    dtype: np.dtype[np.signedinteger]

    @classmethod
    def of(cls, canonical: Canonical, boundary: Boundary, layer: LayerHash, mix: Mix) -> "Plan":
        """Flatten one layer of a scheme."""

        def flat(values: list[int]) -> NDArray[np.int64]:
            return np.array(values, dtype=np.int64)

        return cls(
            canonical,
            boundary,
            max(head.order for head in layer.heads),
            flat([head.order for head in layer.heads]),
            flat([head.modulus for head in layer.heads]),
            flat([head.offset for head in layer.heads]),
            flat(list(layer.multipliers)),
            mix,
            [head.base or 0 for head in layer.heads] if mix.is_linear else None,
            _coefficients(layer, mix) if mix.is_linear else None,
            layer.num_rows,
            np.dtype(np.int32 if layer.num_rows < 2**31 else np.int64),
        )


def _coefficients(layer: LayerHash, mix: Mix) -> NDArray[np.int64]:
    max_order = max(head.order for head in layer.heads)
    weights_NH = np.zeros((max_order, len(layer.heads)), np.int64)
    for column, head in enumerate(layer.heads):
        weights_NH[: head.order, column] = coefficients(
            mix, head.order, head.base or 0, head.modulus
        )
    return weights_NH
