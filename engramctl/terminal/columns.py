"""Which columns of a table stand beside each other where a terminal is too narrow for all."""

import re
from dataclasses import dataclass

GAP = 2  # between two columns
_MEASURED = re.compile(r"-|[+-]?\d[\d.,]*( \S{1,2})?")
_WORD = 20  # a longer word of a text is folded


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
        return max(map(_length, (self.name, *self.cells)))

    @property
    def least_width(self) -> int:
        """What it takes when its head, and a text, is wrapped between words."""
        head = _longest_word(self.name)
        if self.measured:
            return max(head, *map(_length, self.cells))
        return max(head, *(min(_WORD, _longest_word(cell)) for cell in self.cells))

    @property
    def measured(self) -> bool:
        """Whether it is of numbers, or of numbers with units, which are not wrapped."""
        return self.number or all(_MEASURED.fullmatch(cell) for cell in self.cells)


def fitting(columns: list[Column], width: int) -> list[list[Column]]:
    """Deal columns to as few tables as fit `width`, in order.

    Every table begins with those that name a row: the first ones that tell all rows apart.
    """
    if total_width([column.least_width for column in columns]) <= width:
        return [columns]
    names = _naming(columns)
    tables = [list(names)]
    for column in columns[len(names) :]:
        widths = [one.least_width for one in (*tables[-1], column)]
        if total_width(widths) > width and len(tables[-1]) > len(names):
            tables.append(list(names))
        tables[-1].append(column)
    return tables


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


def _naming(columns: list[Column]) -> list[Column]:
    """Return the first columns that tell all rows apart; the first one where none do."""
    num_rows = len(columns[0].cells)
    for stop in range(1, len(columns)):
        if len(set(zip(*(one.cells for one in columns[:stop]), strict=True))) == num_rows:
            return columns[:stop]
    return columns[:1]


def _longest_word(text: str) -> int:
    return max(map(_length, text.split()), default=0)


def _length(text: str) -> int:
    from rich.cells import cell_len

    return cell_len(text)
