"""How every figure looks: a column's width, text of 8 pt, colours that all eyes tell apart.

Inside a page the colours below are replaced by CSS variables, so that one drawing serves light and
dark. They are Okabe and Ito's, the light ones darker, and every curve has a marker of its own.
"""

from typing import Any

WIDTH_INCHES = 3.3
POINTS = 8
INK = "#101112"
GRID = "#c1c2c3"
BAND = "#d1d2d3"
PALETTE = ("#0072b2", "#b86e00", "#008060", "#d04a00", "#6b7280", "#b0508a", "#3a86b8")
MARKERS = ("o", "s", "^", "D", "v", "P", "X")

RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib: the same on every machine
    "font.size": POINTS,
    "axes.labelsize": POINTS,
    "xtick.labelsize": POINTS,
    "ytick.labelsize": POINTS,
    "legend.fontsize": POINTS,
    "text.color": INK,
    "text.parse_math": False,  # a dollar in a name is a dollar
    "axes.labelcolor": INK,
    "axes.edgecolor": INK,
    "axes.linewidth": 0.6,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "grid.color": GRID,
    "grid.linewidth": 0.5,
    "lines.linewidth": 1.2,
    "lines.markersize": 3.5,
    "legend.frameon": False,
    "path.simplify": False,  # every sample stays
    "figure.dpi": 72,  # so that a unit of the drawing is a point
}


def colour(tint: int) -> str:
    """Return the colour of a tint; those beyond the palette begin anew."""
    return PALETTE[tint % len(PALETTE)]


def marker(tint: int) -> str:
    """Return the marker that goes with a tint."""
    return MARKERS[tint % len(MARKERS)]
