"""A tensor in parts, one a rank -> the tensors whose rows follow each other in the table.

Whole tables are dealt by rows or by heads, padded or not; the parts' own shapes and the scheme say
which.
"""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, replace

from engramctl.errors import FormatError
from engramctl.storage.files.safetensors_header import Tensor

_PAD_ROWS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


@dataclass(frozen=True)
class TableRows:
    """The rows that a scheme says a tensor has.

    Attributes:
        num_rows: of the whole tensor.
        heads: rows of each head, in the tensor's order; padding rows go with the last.
    """

    num_rows: int
    heads: tuple[int, ...]


def joined(parts: Sequence[Tensor], wanted: TableRows | None) -> tuple[Tensor, ...]:
    """Return the tensors, or parts of them, whose rows follow each other.

    Args:
        parts: of one name, in the order of ranks.
        wanted: what the scheme says; None: not known, and only one part can be read.

    Raises:
        FormatError: the scheme is not known, or the parts' rows fit it in no way or in two.
    """
    if len(parts) == 1:
        return tuple(parts)
    first = parts[0]
    rows = [one.shape[0] if one.shape else 0 for one in parts]
    alike = {(one.dtype, one.shape[1:]) for one in parts}
    if wanted is None or len(alike) > 1:
        raise _unjoined(
            parts,
            "one scheme and one dtype" if wanted is None else "parts of one dtype and width",
            "config.json tells how the ranks' parts are joined; put it into the folder"
            if wanted is None
            else "the rank files are not of one conversion",
        )
    if set(rows) == {wanted.num_rows}:
        return (first,)  # every rank has all of it
    ways = _by_rows(rows, wanted.num_rows) | _by_heads(rows, wanted)
    if not ways and sum(rows) == wanted.num_rows:
        ways = {_in_turn(rows)}
    if len(ways) != 1:
        expected = f"{wanted.num_rows:,} rows, cut by rows or by {len(wanted.heads)} heads"
        hint = (
            "the rank files are of another model than config.json, or not of one conversion"
            if not ways
            else "padding could lie in two places; convert the tables without padding"
        )
        raise _unjoined(parts, expected, hint)
    return tuple(_rows_of(parts[rank], start, stop) for rank, start, stop in ways.pop())


Way = tuple[tuple[int, int, int], ...]
"""Rank, first row in its part and the row after the last, in the order of the table's rows."""


def _in_turn(rows: Sequence[int]) -> Way:
    return tuple((rank, 0, count) for rank, count in enumerate(rows) if count)


def _by_rows(rows: Sequence[int], num_rows: int) -> set[Way]:
    """Ranges of rows: as even as can be, or the last one shorter, or padded to the others."""
    ranks, most = len(rows), rows[0]
    left = [min(most, max(0, num_rows - rank * most)) for rank in range(ranks)]
    even = [num_rows // ranks + (rank < num_rows % ranks) for rank in range(ranks)]
    if list(rows) == even or (list(rows) == left and most == -(-num_rows // ranks)):
        return {_in_turn(rows)}
    padded = {-(-num_rows // (ranks * pad)) * pad for pad in _PAD_ROWS}
    padded |= {-(-num_rows // pad) * pad // ranks for pad in _PAD_ROWS if pad % ranks == 0}
    if set(rows) == {most} and most in padded and sum(rows) >= num_rows:
        return {_in_turn(left)}
    return set()


def _by_heads(rows: Sequence[int], wanted: TableRows) -> set[Way]:
    """Whole heads: neighbours in one part, or dealt in turn; parts may be padded to the longest."""
    ranks, heads = len(rows), range(len(wanted.heads))
    each = -(-len(heads) // ranks)
    near = [[head for head in heads if head // each == rank] for rank in range(ranks)]
    ways: set[Way] = set()
    for dealt in (near, [list(heads[rank::ranks]) for rank in range(ranks)]):
        sizes = [sum(wanted.heads[head] for head in one) for one in dealt]
        if list(rows) == sizes or set(rows) == {max(sizes)}:
            places = {}
            for rank, one in enumerate(dealt):
                ends = itertools.accumulate(wanted.heads[head] for head in one)
                for head, end in zip(one, ends, strict=True):
                    places[head] = (rank, end - wanted.heads[head], end)
            ways.add(_merged([places[head] for head in heads]))
    return ways


def _merged(ranges: Sequence[tuple[int, int, int]]) -> Way:
    """Return ranges with those that follow each other in one part made one."""
    out: list[tuple[int, int, int]] = []
    for rank, start, stop in ranges:
        if out and out[-1][0] == rank and out[-1][2] == start:
            out[-1] = (rank, out[-1][1], stop)
        else:
            out.append((rank, start, stop))
    return tuple(out)


def _rows_of(tensor: Tensor, start: int, stop: int) -> Tensor:
    """Return some rows of a tensor, where they lie."""
    width = tensor.num_bytes // tensor.shape[0]
    return replace(
        tensor,
        shape=(stop - start, *tensor.shape[1:]),
        offset=tensor.offset + start * width,
        num_bytes=(stop - start) * width,
    )


def _unjoined(parts: Sequence[Tensor], expected: str, hint: str) -> FormatError:
    return FormatError(
        f"'{parts[0].name}' is in {len(parts)} rank files, and how they are joined is not known",
        facts={
            "file": parts[0].path,
            "expected": expected,
            "found": ", ".join(str(list(one.shape)) for one in parts[:6]),
        },
        hint=hint,
    )
