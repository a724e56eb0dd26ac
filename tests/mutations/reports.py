"""Reports: what is drawn is what was measured, and strangers' text stays text."""

from tests.mutations import Mutation

MUTATIONS = (
    Mutation(
        "report-samples-left-out",
        "engramctl/report/figures/latency.py",
        'tuple(one.case["samples_ns"])',
        'tuple(one.case["samples_ns"][1:])',
        ("tests/report/figures/test_latency.py",),
    ),
    Mutation(
        "report-text-not-escaped",
        "engramctl/report/drawing/inline.py",
        "return html.escape(printable(str(text)), quote=True)",
        "return printable(str(text))",
        ("tests/report/test_page.py::test_text_of_strangers_stays_text",),
    ),
    Mutation(
        "report-shows-what-is-below-resolution",
        "engramctl/report/figures/overhead.py",
        "    marks = {} if more is None else",
        '    marks = {"value": one.case["against"][f"{baseline}_percent"]} if more is None else',
        ("tests/report/figures/test_latency.py",),
    ),
)
