"""The walk once more, with every part replaceable: what known mistakes are made of.

`Recipe` holds one layer's constants as plain data, taken from a scheme's public parts. Unchanged it
gives the scheme's own rows (a test compares them); a mistake is a recipe with one part replaced.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from engramctl.hashing.scheme.scheme import Scheme
from engramctl.hashing.walk.heads import Head
from engramctl.hashing.walk.multipliers import engram_multipliers, splitmix_multipliers
from engramctl.hashing.walk.window import DEAD, START, Boundary, window

Ids = NDArray[np.int64]
Rows = Callable[[Ids, Ids], Ids]
"""(token ids (T,), history (C,)) -> row ids, int64 (T, H)."""


@dataclass(frozen=True)
class Recipe:
    """One layer of a scheme, as data.

    Attributes:
        token_map: int (num_ids,), or None: every token id is its own canonical id.
        boundary: where look-back ends.
        max_order: N.
        multipliers: of an XOR mix, m_0 for the current token; empty for linear mixes.
        heads: order, modulus, offset and, of linear mixes, base.
        kind: `xor_mul`, `poly` or `rollpoly`.
        exact: whether a linear mix is exact; else it wraps at 64 bits.
        bits: the mix is cut to a signed (32) or unsigned (-32) integer of so many bits; 64: not.
    """

    token_map: NDArray[np.integer[Any]] | None
    boundary: Boundary
    max_order: int
    multipliers: tuple[int, ...]
    heads: tuple[Head, ...]
    kind: str
    exact: bool
    bits: int = 64

    @classmethod
    def of(cls, scheme: Scheme, layer: int) -> Self:
        """Return a layer's right recipe."""
        derived = scheme.layer_hash(layer)
        return cls(
            scheme.canonical.token_map,
            scheme.boundary,
            max(scheme.orders),
            derived.multipliers,
            derived.heads,
            scheme.mix.kind,
            scheme.mix.width == "exact",
        )

    def canonical(self, token_ids: Ids, history: Ids) -> Ids:
        """Return int64 (1, N - 1 + T): canonical ids of history and tokens; START before them."""
        context = self.max_order - 1
        past = history[max(0, len(history) - context) :]
        start = np.full(context - len(past), START, np.int64)
        ids = np.concatenate([start, past, token_ids])
        if self.token_map is not None:
            ids = np.where(ids < 0, ids, self.token_map[np.maximum(ids, 0)].astype(np.int64))
        if self.boundary.negative == "fill":
            ids = np.where(ids == DEAD, self.boundary.fill, ids)
        return ids[None]

    def windows(self, ids_1S: Ids) -> list[Ids]:
        """Return N arrays (T,): what each position sees at distances 0..N-1."""
        return [seen_1T[0] for seen_1T in window(ids_1S, self.boundary, self.max_order)]

    def rows(self, token_ids: Ids, history: Ids) -> Ids:
        """Return row ids, int64 (T, H)."""
        return self.rows_of(self.windows(self.canonical(token_ids, history)))

    def rows_of(self, walk: list[Ids]) -> Ids:
        """Return the row ids of given windows: N arrays (T,) -> int64 (T, H)."""
        sums = self._xor_sums(walk)
        columns = []
        for head in self.heads:
            mixed = sums[head.order - 1] if sums else self._linear(walk, head)
            if self.bits != 64:
                mixed = mixed.astype(np.int32 if self.bits == 32 else np.uint32).astype(np.int64)
            columns.append(mixed % head.modulus + head.offset)
        return np.stack(columns, axis=-1)

    def _xor_sums(self, walk: list[Ids]) -> list[Ids]:
        """XOR mix of orders 1..N; none for linear mixes."""
        total = np.zeros_like(walk[0])
        sums = []
        for ids_T, multiplier in zip(walk, self.multipliers, strict=bool(self.multipliers)):
            total = total ^ (ids_T * np.int64(multiplier))
            sums.append(total)
        return sums

    def _linear(self, walk: list[Ids], head: Head) -> Ids:
        assert head.base is not None
        modulus = head.modulus if self.exact and self.bits == 64 else 2**64
        weights = [pow(head.base, power, modulus) for power in range(head.order)]
        if self.kind == "rollpoly":
            weights.reverse()
        total = np.zeros_like(walk[0])
        for ids_T, weight in zip(walk, weights, strict=False):
            if modulus < 2**64:
                total = (total + ids_T * weight) % modulus
            else:
                signed = np.int64((weight + 2**63) % 2**64 - 2**63)
                with np.errstate(over="ignore"):
                    total = total + ids_T * signed
        return total


def without_sticking(recipe: Recipe, ids_1S: Ids) -> list[Ids]:
    """Return windows where only stops themselves read as the fill and look-back goes on behind."""
    context, boundary = recipe.max_order - 1, recipe.boundary
    hidden_S = np.isin(ids_1S[0], boundary.stop) | (ids_1S[0] == START)
    walk = [recipe.windows(ids_1S)[0]]
    for distance in range(1, recipe.max_order):
        seen = slice(context - distance, ids_1S.shape[1] - distance)
        walk.append(np.where(hidden_S[seen], boundary.fill, ids_1S[0, seen]))
    return walk


def without_boundary(recipe: Recipe) -> Recipe:
    """Return the recipe that looks back over everything; -1 is hashed as it stands."""
    boundary = recipe.boundary
    negative = "pass" if boundary.negative == "dead" else boundary.negative
    return replace(recipe, boundary=Boundary(boundary.fill, negative=negative))


def drawn_anew(
    scheme: Scheme,
    layer: int,
    *,
    seed: int | None = None,
    size: int | None = None,
    number: int | None = None,
) -> Recipe | None:
    """Return a layer's recipe with other multipliers; None: it has none, or the same ones.

    Args:
        scheme: whose recipe it is.
        layer: of the scheme.
        seed: they are drawn with; None: the scheme's.
        size: ids they are drawn for; None: its canonical ids.
        number: of the layer they are drawn for; None: what the scheme draws for.
    """
    recipe = Recipe.of(scheme, layer)
    if not recipe.multipliers:
        return None
    dense = scheme.mix.stream == "splitmix64"
    if number is None:
        number = scheme.layers.index(layer) if dense else layer
    size = scheme.canonical.num_canonical if size is None else size
    seed, count = scheme.seed if seed is None else seed, len(recipe.multipliers)
    drawn = (
        splitmix_multipliers(size, count, seed=seed, index=number)
        if dense
        else engram_multipliers(size, count, seed=seed, layer=number)
    )
    return None if drawn == recipe.multipliers else replace(recipe, multipliers=drawn)


def reversed_by_order(recipe: Recipe, token_ids: Ids, history: Ids) -> Ids:
    """Return rows with m_0 paired with the oldest token of each order's own window."""
    walk = recipe.windows(recipe.canonical(token_ids, history))
    found = recipe.rows_of(walk)
    for order in {head.order for head in recipe.heads}:
        turned = recipe.multipliers[:order][::-1] + recipe.multipliers[order:]
        rows = replace(recipe, multipliers=turned).rows_of(walk)
        columns = [head.order == order for head in recipe.heads]
        found[:, columns] = rows[:, columns]
    return found
