"""What an SVG of a report shows, read back from its coordinates and its data."""

import math
import re
from dataclasses import dataclass
from xml.etree import ElementTree

from engramctl.report.drawing.inline import inline_svg
from engramctl.report.figures.figure import Figure

NUMBER = r"-?[\d.]+(?:e-?\d+)?"


@dataclass(frozen=True)
class Part:
    """A part of a drawing: its data, and the points where something is drawn."""

    data: dict[str, str]
    points: list[tuple[float, float]]


@dataclass(frozen=True)
class DrawnSvg:
    axis: dict[str, str]
    parts: dict[str, Part]
    text: str

    def x(self, at: float) -> float:
        """The number that a place in the drawing stands for."""
        return self._value("x", at, "left", "right")

    def y(self, at: float) -> float:
        return self._value("y", at, "bottom", "top")

    def _value(self, which: str, at: float, first: str, last: str) -> float:
        axis = self.axis
        start, stop = float(axis[f"{which}-{first}"]), float(axis[f"{which}-{last}"])
        low, high = float(axis[f"{which}-from"]), float(axis[f"{which}-to"])
        share = (at - start) / (stop - start)
        if axis[f"{which}-scale"] == "log":
            return math.exp(math.log(low) + share * (math.log(high) - math.log(low)))
        return low + share * (high - low)

    def span(self, which: str) -> float:
        """What a hundredth of the axis is: as much as a drawing may be off by."""
        axis = self.axis
        return 0.01 * abs(float(axis[f"{which}-to"]) - float(axis[f"{which}-from"]))


def read_svg(figure: Figure) -> DrawnSvg:
    text = inline_svg(figure)
    root = ElementTree.fromstring(text)
    parts = {}
    for group in root.iter("g"):
        data = _data(group)
        if data:
            name = group.attrib["id"].removeprefix(f"{figure.key}--")
            parts[name] = Part(data, list(_points(group)))
    return DrawnSvg(_data(root), parts, text)


def _data(element: ElementTree.Element) -> dict[str, str]:
    found = element.attrib.items()
    return {name.removeprefix("data-"): value for name, value in found if name.startswith("data-")}


def _points(group: ElementTree.Element) -> list[tuple[float, float]]:
    uses = [(float(one.attrib["x"]), float(one.attrib["y"])) for one in group.iter("use")]
    if uses:
        return uses
    paths = [one.attrib["d"] for one in group.iter("path")]
    moves = [re.findall(rf"M ({NUMBER}) ({NUMBER})", path) for path in paths]
    return [(float(x), float(y)) for found in moves for x, y in found]
