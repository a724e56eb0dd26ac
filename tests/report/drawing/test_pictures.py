"""Pictures for papers: a column wide, 8 pt, the same bytes each time."""

import re
from itertools import combinations

import pytest

from engramctl.report.contents import Contents
from engramctl.report.drawing.pictures import picture
from engramctl.report.drawing.style import PALETTE, POINTS, RC, WIDTH_INCHES
from engramctl.report.drawing.ticks import MOST, ticks

pytest.importorskip("matplotlib")


def test_a_picture_fits_a_column_and_is_the_same_each_time(contents: Contents) -> None:
    for figure in contents.figures[:2]:
        svg = picture(figure, "svg")
        assert svg == picture(figure, "svg")
        size = re.search(rb'<svg [^>]*width="([\d.]+)pt"', svg)
        assert size is not None
        assert float(size[1]) == pytest.approx(72 * WIDTH_INCHES)
        assert b"<text" not in svg, "a font that a reader may lack"
        png = picture(figure, "png")
        assert png == picture(figure, "png")
        assert png.startswith(b"\x89PNG")
        assert int.from_bytes(png[16:20], "big") == round(300 * WIDTH_INCHES)
    sizes = {value for name, value in RC.items() if name.endswith(("labelsize", "fontsize"))}
    assert sizes == {POINTS} == {RC["font.size"]}


def luminance(colour: str) -> float:
    parts = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    linear = [one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def without_red_or_green(colour: str) -> tuple[float, float]:
    """What is left of a colour without red-green vision: lightness, and blue against yellow."""
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return luminance(colour), blue - (red + green) / 2


def test_colours_are_seen_on_paper_and_told_apart_by_marker_or_hue() -> None:
    for colour in PALETTE:
        assert 1.05 / (luminance(colour) + 0.05) >= 3
    for one, other in combinations(PALETTE[:4], 2):
        light, hue = (a - b for a, b in zip(*map(without_red_or_green, (one, other)), strict=True))
        assert abs(light) > 0.03 or abs(hue) > 40


@pytest.mark.parametrize("low", [1.0, 170.0, 550e6])
@pytest.mark.parametrize("ratio", [1.05, 1.6, 8, 300, 1e6])
def test_an_axis_has_two_ticks_or_more_and_few(low: float, ratio: float) -> None:
    for log in (True, False):
        found = ticks(low, low * ratio, log=log)
        assert 2 <= len(found) <= MOST + 1, found
        assert all(low * 0.999 <= one <= low * ratio * 1.001 for one in found)
