"""The lines of a table: heads and rows beside each other, parts below each other, or one fact each.

What is common to all rows stands above; no number is cut, and nothing is left out but columns
without a value.
"""

from collections.abc import Iterator, Sequence

from engramctl.terminal.columns import GAP, Column, fitting, stands_better, told_apart, widths
from engramctl.terminal.words import filled, length, wrapped

TITLE, TEXT, HEAD = "title", "text", "head"


def drawn(title: str, columns: list[Column], caption: str, width: int) -> Iterator[tuple[str, str]]:
    """Yield lines of at most `width` columns, each behind what it is: TITLE, TEXT or HEAD.

    Args:
        title: stands above.
        columns: of one row or more.
        caption: stands below.
        width: of the terminal.
    """
    yield from _all(TITLE, wrapped(title, width))
    common, rest = told_apart(columns)
    yield from _all(TEXT, filled([_said(column) for column in common], width))
    if stands_better(rest, width):
        for row in range(len(rest[0].cells)):
            names = Column("", tuple(column.name for column in rest), number=False)
            values = Column("", tuple(column.cells[row] for column in rest), number=False)
            yield from _all(TEXT, [""] if row else [])
            yield from _beside([names, values], width, heads=False)
    else:
        for number, part in enumerate(fitting(rest, width)):
            yield from _all(TITLE, ["continued"] if number else [])
            yield from _beside(part, width)
    for line in caption.split("\n"):
        yield from _all(TEXT, wrapped(line, width) if line else [])


def _all(kind: str, lines: Sequence[str]) -> list[tuple[str, str]]:
    return [(kind, line) for line in lines]


def _said(column: Column) -> str:
    """Say what is common to all rows; a unit of the head goes behind its number."""
    name, unit, rest = column.name.rpartition(" %")
    if unit and not rest:
        return f"{name} {column.cells[0]} %"
    return f"{column.name} {column.cells[0]}"


def _beside(columns: list[Column], width: int, *, heads: bool = True) -> Iterator[tuple[str, str]]:
    sizes = widths(columns, width)
    if heads:
        words = [wrapped(one.name, size) for one, size in zip(columns, sizes, strict=True)]
        most = max(map(len, words))
        yield from _all(
            HEAD, _lines([[""] * (most - len(one)) + one for one in words], columns, sizes)
        )
    for row in zip(*(one.cells for one in columns), strict=True):
        words = [wrapped(cell, size) for cell, size in zip(row, sizes, strict=True)]
        yield from _all(TEXT, _lines(words, columns, sizes))


def _lines(words: list[list[str]], columns: list[Column], sizes: list[int]) -> list[str]:
    """Set the lines of cells beside each other, numbers on the right."""
    lines = []
    for place in range(max(map(len, words))):
        cells = []
        for text, column, size in zip(words, columns, sizes, strict=True):
            shown = text[place] if place < len(text) else ""
            blank = " " * (size - length(shown))
            cells.append(blank + shown if column.measured else shown + blank)
        lines.append((" " * GAP).join(cells).rstrip())
    return lines
