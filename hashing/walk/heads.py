"""Heads: one modulus and one range of rows each, and the generators that make them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from engramctl.errors import ConfigError
from engramctl.hashing.walk.mix import Mix
from engramctl.hashing.walk.multipliers import engram_multipliers, splitmix_multipliers
from engramctl.hashing.walk.primes import primes_above

GENERATORS = ("primes", "arith", "explicit")
MAX_STEP = 2**20


@dataclass(frozen=True)
class Head:
    """One independent hash of one order; its rows are [offset, offset + modulus).

    `base` is the polynomial's in linear mixes; xor_mul has none.
    """

    order: int
    modulus: int
    offset: int
    base: int | None = None


@dataclass(frozen=True)
class LayerHash:
    """Everything one layer's addresses need beside the window: multipliers and heads.

    `multipliers` is empty in linear mixes. `padding` rows at the table's end belong to no head.
    """

    layer: int
    multipliers: tuple[int, ...]
    heads: tuple[Head, ...]
    padding: int = 0

    @property
    def num_rows(self) -> int:
        """Rows of the layer's table: the sum of the heads' moduli, and the padding."""
        return sum(head.modulus for head in self.heads) + self.padding


@dataclass(frozen=True)
class HeadRule:
    """How the moduli of a scheme's heads are made.

    Attributes:
        generator: `primes`: the next unused primes from the order's slots on, in list order over
            layers, orders and heads; `arith`: slots + step * i, i counting the heads of all layers;
            `explicit`: slots lists the modulus of each head.
        step: of `arith`.
        pad_rows_to: a table's rows are rounded up to a multiple of this.

    Raises:
        ConfigError: an unknown generator, or a number it cannot have.
    """

    generator: str = "primes"
    step: int = 0
    pad_rows_to: int = 1

    def __post_init__(self) -> None:
        """Check the numbers."""
        if self.generator not in GENERATORS:
            raise ConfigError(
                f"unknown head generator '{self.generator}'",
                facts={"known": ", ".join(GENERATORS)},
            )
        in_range = 0 <= self.step <= MAX_STEP and 1 <= self.pad_rows_to <= MAX_STEP
        if not in_range or (self.step and self.generator != "arith"):
            raise ConfigError(
                f"heads by {self.generator} cannot have step {self.step} and rows padded to "
                f"{self.pad_rows_to}"
            )


PRIMES = HeadRule()


def derive_layers(
    layers: Sequence[int],
    orders: Sequence[int],
    slots: Sequence[int],
    *,
    rule: HeadRule,
    mix: Mix,
    heads_per_order: int,
    num_canonical: int,
    seed: int,
) -> tuple[LayerHash, ...]:
    """Derive multipliers, moduli and offsets of every layer.

    Columns are order by order. A table's ranges follow its columns, except with several rollpoly
    bases: there one base's ranges of all orders come first (BLT, arXiv 2412.09871).

    Args:
        layers: layer ids in the scheme's own order, which decides primes and SplitMix64 streams.
        orders: ascending orders.
        slots: smallest table size per order, or of each head when the rule is explicit.
        rule: how moduli are made.
        mix: how windows are mixed.
        heads_per_order: K.
        num_canonical: V', bounds the multipliers.
        seed: of the multipliers.

    Raises:
        ConfigError: sizes below two, no head, the primes run out, or two heads are one hash.
    """
    if heads_per_order < 1 or any(size < 2 for size in slots):
        raise ConfigError(f"{heads_per_order} heads of {list(slots)} slots: need at least 1 of 2")
    moduli = _moduli(rule, len(layers), slots, heads_per_order)
    derived = []
    for index, layer in enumerate(layers):
        heads = _place(orders, [next(moduli) for _ in range(len(orders) * heads_per_order)], mix)
        multipliers: tuple[int, ...] = ()
        if not mix.is_linear:
            count = max(orders)
            multipliers = (
                engram_multipliers(num_canonical, count, seed=seed, layer=layer)
                if mix.stream == "pcg64"
                else splitmix_multipliers(num_canonical, count, seed=seed, index=index)
            )
        rows = sum(head.modulus for head in heads)
        one = LayerHash(layer, multipliers, heads, -rows % rule.pad_rows_to)
        _check_distinct(one)
        derived.append(one)
    return tuple(derived)


def _moduli(
    rule: HeadRule, num_layers: int, slots: Sequence[int], heads_per_order: int
) -> Iterator[int]:
    """Yield the moduli of all layers, orders and heads in list order.

    Sources: `engram_demo_v1.py` (primes: one set for all, each order's search starts at `slots -
    1`), Over-Encoding's and LongCat's code (arith).
    """
    if rule.generator == "explicit":
        for _ in range(num_layers):
            yield from slots
    elif rule.generator == "arith":
        sizes = [size for size in slots for _ in range(heads_per_order)] * num_layers
        yield from (size + rule.step * index for index, size in enumerate(sizes))
    else:
        taken: set[int] = set()
        for _ in range(num_layers):
            for size in slots:
                search = primes_above(size - 1, taken)
                for _ in range(heads_per_order):
                    yield next(search)


def _place(orders: Sequence[int], moduli: Sequence[int], mix: Mix) -> tuple[Head, ...]:
    """Give every column its order, base and range of rows."""
    per_order = len(moduli) // len(orders)
    columns = [(order, k) for order in orders for k in range(per_order)]
    in_table = sorted(range(len(columns)), key=lambda c: columns[c][1] if mix.bases[1:] else 0)
    offsets = [0] * len(columns)
    offset = 0
    for column in in_table:
        offsets[column] = offset
        offset += moduli[column]
    return tuple(
        Head(order, modulus, at, mix.bases[k % len(mix.bases)] if mix.is_linear else None)
        for (order, k), modulus, at in zip(columns, moduli, offsets, strict=True)
    )


def _check_distinct(layer: LayerHash) -> None:
    """Refuse heads that would always give the same slot."""
    seen: dict[tuple[int, int, int | None], int] = {}
    for column, head in enumerate(layer.heads):
        first = seen.setdefault((head.order, head.modulus, head.base), column)
        if first != column:
            raise ConfigError(
                f"heads {first} and {column} of layer {layer.layer} are one and the same hash",
                facts={"order": head.order, "modulus": f"{head.modulus:,}", "base": head.base},
                hint="heads of one order need different moduli, or different bases",
            )
