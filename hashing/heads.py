"""Heads: one modulus and one range of rows each, and the generators that make them."""

from collections.abc import Sequence
from dataclasses import dataclass

from engramctl.errors import ConfigError
from engramctl.hashing.multipliers import engram_multipliers
from engramctl.hashing.primes import primes_above


@dataclass(frozen=True)
class Head:
    """One independent hash of one order; its rows are [offset, offset + modulus)."""

    order: int
    modulus: int
    offset: int


@dataclass(frozen=True)
class LayerHash:
    """Everything one layer's addresses need beside the window: multipliers and heads."""

    layer: int
    multipliers: tuple[int, ...]
    heads: tuple[Head, ...]

    @property
    def num_rows(self) -> int:
        """Rows of the layer's table: the sum of the heads' moduli."""
        return sum(head.modulus for head in self.heads)


def engram_layers(
    layers: Sequence[int],
    orders: Sequence[int],
    slots: Sequence[int],
    *,
    heads_per_order: int,
    num_canonical: int,
    seed: int,
) -> tuple[LayerHash, ...]:
    """Derive multipliers, prime moduli and offsets of every layer.

    One set of primes serves all layers, orders and heads, taken in list order; for each order the
    search starts at `slots - 1` (spec/engram-paper.md section 1.2).

    Args:
        layers: layer ids in the scheme's own order, which decides the primes.
        orders: ascending orders.
        slots: smallest table size per order.
        heads_per_order: K.
        num_canonical: V', bounds the multipliers.
        seed: of the multipliers.

    Raises:
        ConfigError: sizes below two, no head, or the primes run out.
    """
    if heads_per_order < 1 or any(size < 2 for size in slots):
        raise ConfigError(f"{heads_per_order} heads of {list(slots)} slots: need at least 1 of 2")
    taken: set[int] = set()
    derived = []
    for layer in layers:
        heads: list[Head] = []
        offset = 0
        for order, size in zip(orders, slots, strict=True):
            search = primes_above(size - 1, taken)
            for _ in range(heads_per_order):
                modulus = next(search)
                heads.append(Head(order, modulus, offset))
                offset += modulus
        multipliers = engram_multipliers(num_canonical, max(orders), seed=seed, layer=layer)
        derived.append(LayerHash(layer, multipliers, tuple(heads)))
    return tuple(derived)
