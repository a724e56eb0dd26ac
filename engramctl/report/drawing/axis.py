"""What turns a point of a drawing back into the number it stands for."""

from typing import Any


def calibrated(drawing: Any, axes: Any, height_inches: float, *, y: bool) -> dict[str, object]:
    """Return for the axes their scale, ends, and where in the drawing these are, in points.

    Points count from the left and from the top, as those of an SVG.
    """
    box = axes.get_position()
    wide, high = drawing.get_size_inches()[0] * 72, height_inches * 72
    low, top = axes.get_xlim()
    found: dict[str, object] = {
        "x-scale": axes.get_xscale(), "x-from": float(low), "x-to": float(top),
        "x-left": box.x0 * wide, "x-right": box.x1 * wide,
    }  # fmt: skip
    if y:
        low, top = axes.get_ylim()
        found |= {
            "y-scale": axes.get_yscale(), "y-from": float(low), "y-to": float(top),
            "y-bottom": high - box.y0 * high, "y-top": high - box.y1 * high,
        }  # fmt: skip
    return found
