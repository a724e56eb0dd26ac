"""What no scheme can be: the recipe's fields against each other."""

from collections.abc import Sequence

from engramctl.errors import ConfigError
from engramctl.hashing.walk.heads import HeadRule, LayerHash
from engramctl.hashing.walk.mix import Mix, coefficients
from engramctl.hashing.walk.token_map import Canonical
from engramctl.hashing.walk.window import DEAD, NEGATIVE_RULES, Boundary

MAX_HEADS = 4096
MAX_SLOTS = 2**40
MAX_ORDER = 64
MAX_ROW_DIM = 2**16
MAX_BOUNDARY_IDS = 256  # every walk compares every id with each of them


def check_orders(orders: Sequence[int], mix: Mix) -> None:
    """Refuse orders that the mix cannot have.

    Raises:
        ConfigError: not 2, 3, .. N for xor_mul; not ascending from 2 on for the others.
    """
    if not mix.is_linear and (list(orders) != list(range(2, 2 + len(orders))) or not orders):
        raise ConfigError(
            f"orders {list(orders)} are not 2, 3, .. N",
            hint="a scheme of this family hashes every order from 2 on",
        )
    check_ascending(orders)


def check_ascending(orders: Sequence[int]) -> None:
    """Refuse orders that no window has.

    Raises:
        ConfigError: not ascending from 2 on.
    """
    if not orders or list(orders) != sorted(set(orders)) or orders[0] < 2:
        raise ConfigError(f"orders {list(orders)} are not ascending from 2 on")


def check_sizes(
    orders: Sequence[int],
    slots: Sequence[int],
    layers: Sequence[int],
    *,
    rule: HeadRule,
    heads_per_order: int,
    row_dim: int,
) -> None:
    """Refuse sizes that do not fit each other, or any machine.

    Raises:
        ConfigError: as many slots as neither orders nor heads, layers twice, or too much of it.
    """
    per_layer = heads_per_order * len(orders)
    wanted = per_layer if rule.generator == "explicit" else len(orders)
    if len(slots) != wanted:
        raise ConfigError(
            f"{len(slots)} slot counts for {len(orders)} orders",
            facts={"expected": wanted},
            hint="give one number for all orders, or one an order",
        )
    check_layers(layers)
    num_heads = per_layer * len(layers)
    if num_heads > MAX_HEADS or max(slots, default=0) > MAX_SLOTS or orders[-1] > MAX_ORDER:
        raise ConfigError(
            "the scheme is larger than any table could be",
            facts={
                "heads of all layers": f"{num_heads:,}",
                "at most": f"{MAX_HEADS:,} heads, {MAX_SLOTS:,} slots each, order {MAX_ORDER}",
            },
        )
    check_row_dim(row_dim)


def check_row_dim(row_dim: int) -> None:
    """Refuse rows that no table has.

    Raises:
        ConfigError: says how many values a row can have.
    """
    if not 1 <= row_dim <= MAX_ROW_DIM:
        raise ConfigError(
            f"row_dim {row_dim} is out of range", facts={"expected": f"1 to {MAX_ROW_DIM:,}"}
        )


def check_layers(layers: Sequence[int]) -> None:
    """Refuse layers twice, none, or more than heads can be.

    Raises:
        ConfigError: says which.
    """
    if len(layers) > MAX_HEADS:
        raise ConfigError(f"{len(layers):,} layers are too many", facts={"at most": MAX_HEADS})
    if not layers or len(set(layers)) != len(layers):
        raise ConfigError(f"layers {list(layers)} must be distinct, at least one")


def check_boundary(boundary: Boundary, canonical: Canonical, mix: Mix | None = None) -> None:
    """Refuse a boundary that names ids nobody can have.

    Raises:
        ConfigError: fill, stop or block ids outside the canonical vocabulary, or too many of them,
            an unknown rule for negative ids, or one the mix cannot have.
    """
    if len(boundary.stop) + len(boundary.block) > MAX_BOUNDARY_IDS:
        raise ConfigError(
            f"{len(boundary.stop) + len(boundary.block):,} stop and block ids are too many",
            facts={"at most": MAX_BOUNDARY_IDS},
        )
    if not 0 <= boundary.fill < canonical.num_canonical:
        raise ConfigError(
            f"fill id {boundary.fill} is outside the canonical vocabulary",
            facts={"ids": f"0..{canonical.num_canonical - 1:,}"},
            hint="set pad_id to a token of this vocabulary",
        )
    for value in (*boundary.stop, *boundary.block):
        if value != DEAD and not 0 <= value < canonical.num_canonical:
            raise ConfigError(
                f"boundary id {value} is outside the canonical vocabulary",
                facts={"ids": f"0..{canonical.num_canonical - 1:,}"},
                hint="set eos_id to a token of this vocabulary",
            )
    if boundary.negative not in NEGATIVE_RULES:
        raise ConfigError(
            f"unknown rule '{boundary.negative}' for negative ids",
            facts={"known": ", ".join(NEGATIVE_RULES)},
        )
    if boundary.negative == "pass" and mix is not None and mix.is_linear:
        raise ConfigError(f"mix {mix.kind} cannot hash negative ids as they are")


def check_sums(layers: Sequence[LayerHash], mix: Mix, canonical: Canonical) -> None:
    """Refuse exact sums that could leave 64 bits before their modulo.

    Raises:
        ConfigError: names the first such head's order and modulus.
    """
    if mix.width != "exact":
        return
    for head in (head for layer in layers for head in layer.heads):
        weights = coefficients(mix, head.order, head.base or 0, head.modulus)
        if (canonical.num_canonical - 1) * sum(weights) >= 2**63:
            raise ConfigError(
                f"an exact sum of {head.order} of {canonical.num_canonical:,} ids modulo "
                f"{head.modulus:,} exceeds 64 bits",
                hint="take fewer slots or a smaller vocabulary",
            )
