"""One position, step by step: what the window held and why, each mix, each head's row.

Written with Python's own integers, one token at a time, so that it can be followed by hand; a test
holds it against `Scheme.row_ids`.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from engramctl.hashing.dictionary.lookup import Lookup
from engramctl.hashing.scheme.scheme import Scheme
from engramctl.hashing.walk.heads import Head
from engramctl.hashing.walk.window import DEAD, START, Boundary


@dataclass(frozen=True)
class WindowEntry:
    """What stands at one distance.

    Attributes:
        distance: 0 is the current token.
        position: in the sequence; negative in the history or before it.
        token_id: as given; None before the sequence.
        canonical_id: what the token map makes of it; None before the sequence and where masked.
        value: what is hashed.
        why: `current`, `read`, or why the fill stands here.
    """

    distance: int
    position: int
    token_id: int | None
    canonical_id: int | None
    value: int
    why: str


@dataclass(frozen=True)
class HeadStep:
    """One head: `slot = mix mod modulus`, `row_id = slot + offset`.

    Attributes:
        head: column of `row_ids`, from 0.
        order: n-gram order.
        formula: the mix in words of numbers.
        mix: its value.
        modulus: slots of the head.
        slot: the head's own address.
        offset: where the head's rows begin in the table.
        row_id: the address in the layer's table.
    """

    head: int
    order: int
    formula: str
    mix: int
    modulus: int
    slot: int
    offset: int
    row_id: int


@dataclass(frozen=True)
class Explanation:
    """One position under one layer: the window, then every head.

    Attributes:
        scheme: its name.
        layer: the layer.
        position: in the sequence.
        fill: the canonical id that stands for missing context.
        mix: the kind of mix and its integers.
        window: distances 0..N-1.
        heads: H steps, in table order.
    """

    scheme: str
    layer: int
    position: int
    fill: int
    mix: str
    window: tuple[WindowEntry, ...]
    heads: tuple[HeadStep, ...]

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


def explain(
    scheme: Scheme,
    token_ids: Sequence[int],
    position: int,
    layer: int,
    history: Sequence[int] = (),
) -> Explanation:
    """Walk one position of one sequence by hand.

    Args:
        scheme: the scheme.
        token_ids: the sequence; -1 is a masked token in schemes that know masks.
        position: in `token_ids`, from 0.
        layer: a layer of the scheme.
        history: token ids before the first, oldest first.

    Raises:
        ConfigError: no such layer.
        IndexError: no such position.
        ValueError: an id in the window that the scheme cannot take.

    Example:
        >>> from engramctl.hashing import make_scheme
        >>> scheme = make_scheme("engram", vocab_size=64, slots=97, heads_per_order=1)
        >>> shown = explain(scheme, [5, 9], 1, layer=1)
        >>> [entry.value for entry in shown.window], shown.window[2].why
        ([9, 5, 2], 'fill: before the sequence')
        >>> [step.row_id for step in shown.heads] == scheme.row_ids([5, 9], 1)[1].tolist()
        True
    """
    derived = scheme.layer_hash(layer)
    known = known_ids(scheme, token_ids, position, layer, history)
    entries = explain_window(scheme, known, position)
    steps = []
    for index, head in enumerate(derived.heads):
        values = [entry.value for entry in entries[: head.order]]
        total, formula = _mix(scheme.mix.kind, scheme.mix.width, values, head, derived.multipliers)
        slot = total % head.modulus
        steps.append(
            HeadStep(
                index,
                head.order,
                formula,
                total,
                head.modulus,
                slot,
                head.offset,
                slot + head.offset,
            )
        )
    return Explanation(
        scheme=scheme.name,
        layer=layer,
        position=position,
        fill=scheme.boundary.fill,
        mix=f"{scheme.mix.kind}, {scheme.mix.width}",
        window=entries,
        heads=tuple(steps),
    )


def known_ids(
    scheme: Lookup, token_ids: Sequence[int], position: int, layer: int, history: Sequence[int]
) -> list[int]:
    """Return the token ids up to a position, history first.

    Raises:
        IndexError: no such position.
        ValueError: an id in the window that the scheme cannot take.
    """
    if not 0 <= position < len(token_ids):
        raise IndexError(f"position {position} is outside 0..{len(token_ids) - 1}")
    known = [*history, *token_ids[: position + 1]]
    # The walk itself refuses what the scheme cannot take, and says where.
    scheme.row_ids([list(token_ids[position : position + 1])], layer, [known[:-1]])
    return known


def explain_window(scheme: Lookup, known: Sequence[int], position: int) -> tuple[WindowEntry, ...]:
    """Walk back from the last of `known`; sticky from the first stop on."""
    boundary = scheme.boundary
    entries: list[WindowEntry] = []
    ended = ""
    for distance in range(max(scheme.orders)):
        token = known[-1 - distance] if distance < len(known) else START
        canonical = token if token < 0 else int(scheme.canonical.of(token))
        if token == DEAD and boundary.negative == "fill":
            canonical = boundary.fill
        if not ended:
            ended = _stop_reason(boundary, canonical, distance, position - distance)
        if distance == 0:
            hole = ended and canonical < 0
            value, why = (boundary.fill, ended) if hole else (canonical, "current")
            if not hole and canonical in boundary.block:
                ended = "fill: the current token does not look back"
        else:
            value, why = (boundary.fill, ended) if ended else (canonical, "read")
        shown = None if canonical < 0 and boundary.negative != "pass" else canonical
        started = token != START
        entries.append(
            WindowEntry(
                distance,
                position - distance,
                token if started else None,
                shown if started else None,
                value,
                why,
            )
        )
    return tuple(entries)


def _stop_reason(boundary: Boundary, canonical: int, distance: int, position: int) -> str:
    """Say why look-back ends at this distance; empty when it does not."""
    if canonical == START:
        return "fill: before the sequence"
    if canonical == DEAD and boundary.negative == "dead" and not distance:
        return "fill: the current token is masked"
    if distance and canonical in boundary.stop:
        what = "masked token" if canonical == DEAD else f"stop token {canonical}"
        return f"fill: {what} at position {position}"
    return ""


def _mix(
    kind: str, width: str, values: list[int], head: Head, multipliers: Sequence[int]
) -> tuple[int, str]:
    """Return the mix of one head's window and its formula."""
    if kind == "xor_mul":
        total = 0
        for value, multiplier in zip(values, multipliers, strict=False):
            total ^= value * multiplier
        used = zip(values, multipliers, strict=False)
        return total, " ^ ".join(f"{value}*{factor}" for value, factor in used)
    assert head.base is not None
    newest_first = values if kind == "poly" else values[::-1]
    total = sum(value * head.base**power for power, value in enumerate(newest_first))
    terms = (f"{value}*{head.base}^{power}" for power, value in enumerate(newest_first))
    if width != "exact":
        total = (total + 2**63) % 2**64 - 2**63
    return total, " + ".join(terms)
