"""The style sheet of a report: light and dark, phone and paper. It names nothing from elsewhere."""

from engramctl.report.drawing.style import PALETTE

_DARK = ("#5cb3ec", "#f0a23c", "#3cc79b", "#ff8a5c", "#a3acba", "#e48fc6", "#8fc7ea")


def _tints(colours: tuple[str, ...]) -> str:
    return "".join(f"--tint-{place}:{colour};" for place, colour in enumerate(colours))


STYLE = f"""
:root{{color-scheme:light dark;--paper:#ffffff;--ink:#17191c;--soft:#585e68;--line:#d4d8de;
--head:#f1f3f6;--link:#0058a8;--grid:#dde0e5;--band:#d3d7de;{_tints(PALETTE)}}}
@media screen and (prefers-color-scheme:dark){{:root{{--paper:#14171b;--ink:#e8eaed;--soft:#a9b0bb;
--line:#3a4049;--head:#20252c;--link:#7fbcf5;--grid:#343a43;--band:#3b424d;{_tints(_DARK)}}}}}
*{{box-sizing:border-box}}
body{{margin:0 auto;max-width:76rem;padding:0 1rem 2rem;background:var(--paper);color:var(--ink);
font:1rem/1.5 system-ui,sans-serif;overflow-wrap:anywhere}}
a{{color:var(--link)}}
h1{{font-size:1.6rem;line-height:1.2;margin:1.5rem 0 .5rem}}
h2{{font-size:1.2rem;line-height:1.3;margin:0 0 .75rem}}
nav ul{{padding-left:1.2rem;columns:22rem;column-gap:2rem}}
section{{border-top:1px solid var(--line);padding:1.25rem 0}}
.both{{display:grid;gap:1rem 2rem;grid-template-columns:minmax(0,1fr)}}
figure{{margin:0}}
figcaption{{max-width:42rem;margin-bottom:.75rem}}
svg{{display:block;width:100%;max-width:30rem;height:auto;font-family:system-ui,sans-serif}}
svg *{{stroke-linejoin:round;stroke-linecap:butt}}
.scroll{{overflow-x:auto;max-width:100%}}
table{{border-collapse:collapse;font-size:.875rem;font-variant-numeric:tabular-nums}}
caption{{text-align:left;color:var(--soft);padding-bottom:.25rem}}
th,td{{padding:.2rem .6rem;text-align:left;vertical-align:top;border-bottom:1px solid var(--line);
overflow-wrap:normal}}
.numbers td+td{{white-space:nowrap}}
.numbers td:first-child:not(.n){{min-width:8.5rem}}
.facts td{{overflow-wrap:anywhere}}
th{{background:var(--head);font-weight:600}}
.n{{text-align:right;white-space:nowrap}}
footer{{color:var(--soft);border-top:1px solid var(--line);padding-top:1rem}}
@media (min-width:60rem){{.both{{grid-template-columns:30rem minmax(0,1fr)}}}}
@media print{{body{{max-width:none;padding:0;font-size:10pt}}nav{{display:none}}
figure,tr,h2{{break-inside:avoid}}h2{{break-after:avoid}}.both{{display:block}}
svg{{max-width:4.2in}}.scroll{{overflow:visible}}table{{font-size:8pt;margin-top:.75rem}}
thead{{display:table-header-group}}caption,thead{{break-after:avoid}}}}
"""
