"""A figure as matplotlib draws it, and what is known of each of its parts."""

from dataclasses import dataclass, field
from typing import Any

from engramctl.report.drawing.curves import draw_lines
from engramctl.report.drawing.rows import draw_rows
from engramctl.report.figures.figure import Figure, Rows


@dataclass
class Drawn:
    """A drawing, and by the id of a part the data it shows."""

    drawing: Any
    data: dict[str, dict[str, object]] = field(default_factory=dict)


def drawn(figure: Figure) -> Drawn:
    """Draw one figure; within `matplotlib_ready`."""
    from matplotlib.figure import Figure as Canvas

    made = Drawn(Canvas())
    if isinstance(figure.plot, Rows):
        draw_rows(made.drawing, figure.plot, made.data)
    else:
        draw_lines(made.drawing, figure.plot, made.data)
    return made
