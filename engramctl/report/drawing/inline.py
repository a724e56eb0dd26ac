"""A figure as SVG inside a page: colours by CSS variables, text as text, its data in attributes."""

import html
import io
import re
from collections.abc import Mapping

from engramctl.errors import printable
from engramctl.report.drawing.drawn import drawn
from engramctl.report.drawing.loaded import matplotlib_ready
from engramctl.report.drawing.style import BAND, GRID, INK, PALETTE
from engramctl.report.figures.figure import Figure

_NUMBER = re.compile(r"-?\d+\.\d{3,}")
_COORDINATES = re.compile(r'( (?:d|x|y|transform|points)=")([^"]*)(")')


def escaped(text: object) -> str:
    """Return any text as a page may hold it: no markup, no control character."""
    return html.escape(printable(str(text)), quote=True)


def inline_svg(figure: Figure) -> str:
    """Return an SVG element with title, description and data; the same for the same figure.

    Raises:
        ConfigError: matplotlib is not installed.
    """
    with matplotlib_ready(figure.key):
        import matplotlib

        matplotlib.rcParams["svg.fonttype"] = "none"
        made = drawn(figure)
        text = io.StringIO()
        made.drawing.savefig(
            text, format="svg", dpi=72, transparent=True,
            metadata=dict.fromkeys(("Date", "Creator", "Format", "Type")),
        )  # fmt: skip
    return _as_element(figure, text.getvalue(), made.data)


def _as_element(figure: Figure, svg: str, data: Mapping[str, Mapping[str, object]]) -> str:
    body = svg[svg.index("<svg") :]
    box = re.search(r'viewBox="([^"]*)"', body)
    assert box is not None
    body = body[body.index(">") + 1 : body.rindex("</svg>")]
    body = re.sub(r"<!--.*?-->", "", body, flags=re.DOTALL)
    body = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", body, flags=re.DOTALL)
    body = body.replace("xlink:href", "href")
    for name, facts in data.items():
        body = body.replace(f'<g id="{name}">', f'<g id="{name}"{_attributes(facts)}>')
    key = figure.key
    body = re.sub(r'( id="| href="#|url\(#)', rf"\g<1>{key}--", body)
    body = re.sub(r"font: ([\d.]+)px [^;\"]*", r"font-size: \1px", body)
    body = _COORDINATES.sub(lambda found: found[1] + _rounded(found[2]) + found[3], body)
    body = re.sub(r"\s*\n\s*", "\n", body)
    for colour, variable in _variables().items():
        body = body.replace(colour, variable)
    head = (
        f'<svg viewBox="{box[1]}" role="img" aria-labelledby="{key}--t {key}--d"'
        f"{_attributes(data['axis'])}>\n"
        f'<title id="{key}--t">{escaped(figure.title)}</title>\n'
        f'<desc id="{key}--d">{escaped(figure.says)}</desc>'
    )
    return f"{head}{body}</svg>"


def _variables() -> dict[str, str]:
    named = {colour: f"var(--tint-{place})" for place, colour in enumerate(PALETTE)}
    return named | {
        INK: "currentColor", GRID: "var(--grid)", BAND: "var(--band)", "#ffffff": "var(--paper)",
    }  # fmt: skip


def _attributes(facts: Mapping[str, object]) -> str:
    return "".join(f' data-{name}="{escaped(value)}"' for name, value in facts.items())


def _rounded(numbers: str) -> str:
    """Return coordinates to a hundredth of a point."""
    return _NUMBER.sub(lambda found: f"{float(found[0]):.2f}", numbers)
