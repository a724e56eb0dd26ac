"""Which columns of a table are shown, and which stand beside each other where not all fit."""

import re
from dataclasses import dataclass
from itertools import takewhile

from engramctl.terminal.words import least_width, length, measured

GAP = 2  # between two columns
_WHOLE = re.compile(r"-|\d[\d,]*")


@dataclass(frozen=True)
class Column:
    """One column as it is shown.

    Attributes:
        name: its head.
        cells: one text a row.
        number: whether it is of numbers.
    """

    name: str
    cells: tuple[str, ...]
    number: bool

    @property
    def width(self) -> int:
        """What it takes when nothing is wrapped."""
        return max(map(length, (self.name, *self.cells)))

    @property
    def least_width(self) -> int:
        """What it takes when its head, and a text, is wrapped between words."""
        if self.number:
            return max(least_width(self.name), *map(length, self.cells))
        return max(map(least_width, (self.name, *self.cells)))

    @property
    def measured(self) -> bool:
        """Whether it is of numbers, or of numbers with units, which stand on the right."""
        return self.number or all(map(measured, self.cells))

    @property
    def names(self) -> bool:
        """Whether it may name a row: it is of words or of whole numbers, not of measures."""
        return not self.measured or all(map(_WHOLE.fullmatch, self.cells))

    @property
    def empty(self) -> bool:
        """Whether no row has a value."""
        return all(cell in ("", "-") for cell in self.cells)


def told_apart(columns: list[Column]) -> tuple[list[Column], list[Column]]:
    """Return the columns that are the same in every row, and those that stay in the table.

    At least two stay, else all do. Columns without a value are in neither.

    Example:
        >>> layer, head = Column("layer", ("1", "1"), True), Column("head", ("0", "1"), True)
        >>> load, seed = Column("load", ("4.2", "4.1"), True), Column("seed", ("-", "-"), True)
        >>> common, rest = told_apart([layer, head, load, seed])
        >>> [column.name for column in common], [column.name for column in rest]
        (['layer'], ['head', 'load'])
    """
    shown = [column for column in columns if not column.empty] or columns[:1]
    several = len(columns[0].cells) > 1
    common = [column for column in shown if several and len(set(column.cells)) == 1]
    rest = [column for column in shown if column not in common]
    return (common, rest) if len(rest) > 1 else ([], shown)


def fitting(columns: list[Column], width: int) -> list[list[Column]]:
    """Deal columns to as few tables as fit `width`, in order, about as wide as each other.

    Every table begins with those that name a row: the first ones that tell all rows apart, up to
    the first measure.
    """
    if total_width([column.least_width for column in columns]) <= width:
        return [columns]
    widest = _dealt(columns, width)
    narrower = (_dealt(columns, less) for less in range(width // len(widest), width))
    return next((tables for tables in narrower if len(tables) == len(widest)), widest)


def stands_better(columns: list[Column], width: int) -> bool:
    """Tell whether a line a fact reads better than a line a row: of one row, or of wide names."""
    if len(columns[0].cells) == 1:
        return total_width([column.width for column in columns]) > width
    parts = fitting(columns, width)
    return any(total_width([one.least_width for one in part]) > width for part in parts)


def widths(columns: list[Column], width: int) -> list[int]:
    """Return the widths of columns of one table: the least, and the rest of `width` to those first.

    Example:
        >>> why = Column("why", ("it is not here",), number=False)
        >>> widths([why, Column("num rows", ("7",), number=True)], 18)
        [12, 4]
    """
    taken = [one.least_width for one in columns]
    for place, one in enumerate(columns):
        spare = max(0, width - total_width(taken))
        taken[place] += min(spare, one.width - taken[place])
    return taken


def total_width(widths: list[int]) -> int:
    """Return what columns beside each other take."""
    return sum(widths) + GAP * (len(widths) - 1)


def _dealt(columns: list[Column], width: int) -> list[list[Column]]:
    names = _naming(columns)
    tables = [list(names)]
    for column in columns[len(names) :]:
        widths = [one.least_width for one in (*tables[-1], column)]
        if total_width(widths) > width and len(tables[-1]) > len(names):
            tables.append(list(names))
        tables[-1].append(column)
    return tables


def _naming(columns: list[Column]) -> list[Column]:
    """Return the first columns that tell all rows apart, or as many as columns before a measure."""
    lead = [columns[0], *takewhile(lambda one: one.names, columns[1:-1])]
    apart = [
        len(set(zip(*(one.cells for one in lead[:stop]), strict=True)))
        for stop in range(1, len(lead) + 1)
    ]
    return lead[: apart.index(max(apart)) + 1]
