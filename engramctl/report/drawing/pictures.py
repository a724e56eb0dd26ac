"""Figures as files for papers: PNG, or SVG that needs no font."""

import io

from engramctl.report.drawing.drawn import drawn
from engramctl.report.drawing.loaded import matplotlib_ready
from engramctl.report.figures.figure import Figure

PICTURES = ("png", "svg")
_DPI = 300
_NO_FACTS = {"svg": dict.fromkeys(("Date", "Creator", "Format", "Type")), "png": {"Software": None}}


def picture(figure: Figure, kind: str) -> bytes:
    """Return the bytes of a file, the same for the same figure.

    Args:
        figure: what is drawn.
        kind: png or svg.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    with matplotlib_ready(figure.key):
        import matplotlib

        matplotlib.rcParams["svg.fonttype"] = "path"
        target = io.BytesIO()
        drawn(figure).drawing.savefig(
            target, format=kind, dpi=_DPI if kind == "png" else 72, facecolor="#ffffff",
            metadata=_NO_FACTS[kind],
        )  # fmt: skip
        return target.getvalue()
