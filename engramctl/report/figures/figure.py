"""A figure as data: what is drawn, what it says, and the table of its numbers.

Two kinds of drawing do for all of them. `Rows` has a line for each thing that is compared, with
its samples, marks and bands along one axis; `Lines` has curves over two axes.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field

from engramctl.output import Table

TINTS = ("gpu", "host", "ssd", "cold", "none", "ready")  # what has a colour of its own, in order


@dataclass(frozen=True)
class Row:
    """One line of a figure.

    Attributes:
        label: what stands above it.
        tint: which colour it has, an index of the palette.
        samples: every sample, in the order they were taken.
        marks: by name (`median`, `value`, `tail`, `limit`), where a mark stands.
        band: from where to where nothing can be told apart; None: there is no such band.
    """

    label: str
    tint: int
    samples: tuple[float, ...] = ()
    marks: Mapping[str, float] = field(default_factory=dict)
    band: tuple[float, float] | None = None


@dataclass(frozen=True)
class Rows:
    """Lines below each other, along one axis whose unit is `ns`, `rows/s` or `%`."""

    rows: tuple[Row, ...]
    x_label: str
    unit: str
    log: bool
    marks: Mapping[str, str]  # what each kind of mark means, for the key below the axis


@dataclass(frozen=True)
class Line:
    """One curve; `dashed` for what is expected and not measured."""

    name: str
    tint: int
    x: tuple[float, ...]
    y: tuple[float, ...]
    dashed: bool = False


@dataclass(frozen=True)
class Lines:
    """Curves over two axes."""

    lines: tuple[Line, ...]
    x_label: str
    y_label: str
    x_log: bool = False
    y_log: bool = False


@dataclass(frozen=True)
class Figure:
    """One figure of a report.

    Attributes:
        key: unique in a report, words joined by dashes: the name of its file and its anchor.
        title: what is shown.
        says: what to conclude, and how to read it; sentences.
        plot: what is drawn.
        table: the same numbers.
    """

    key: str
    title: str
    says: str
    plot: Rows | Lines
    table: Table
