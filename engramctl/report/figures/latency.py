"""How long lookups and steps take on each tier: every sample."""

from collections.abc import Iterator, Sequence

from engramctl.output import Table
from engramctl.report.figures.figure import Figure, Row, Rows
from engramctl.report.figures.places import BESIDE_COLD, BESIDE_TRAFFIC, Shown, parts, phases
from engramctl.shown.figures import duration

MARKS = {"median": "p50", "tail": "p99 (of 100 samples or more)"}
_HOW = (
    "Each dot is one sample; within a line the first is lowest, so a lean is drift. "
    "The axis is logarithmic."
)
_BESIDE = {
    BESIDE_COLD: f"'{BESIDE_COLD}' was measured in turn with cold cases.",
    BESIDE_TRAFFIC: f"'{BESIDE_TRAFFIC}' was measured in turn with cases of ssd that find in "
    "memory what the tokens before left there.",
}


def latency_figures(shown: Sequence[Shown]) -> Iterator[Figure]:
    """Return a figure for each case and phase."""
    for (name, phase), some in phases(shown).items():
        title = f"Latency: {name}, {phase}"
        for key, part_title, part in parts(f"latency-{name}-{phase}", title, some):
            rows = tuple(_row(one) for one in part)
            table = Table(part_title, [_line(one) for one in part])
            plot = Rows(rows, "time of one sample", "ns", True, MARKS)
            beside = [
                text for word, text in _BESIDE.items() if any(word in one.label for one in part)
            ]
            says = " ".join([_conclusion(part), _HOW, *beside])
            yield Figure(key, part_title, says, plot, table)


def _row(one: Shown) -> Row:
    tail = one.case["p99_ns"]
    marks = {"median": one.case["p50_ns"]} | ({} if tail is None else {"tail": tail})
    return Row(one.label, one.tint, tuple(one.case["samples_ns"]), marks)


def _line(one: Shown) -> dict[str, object]:
    times = {name: duration(one.case[f"{name}_ns"]) for name in ("p50", "p90", "p99")}
    return {"case": one.label, "samples": len(one.case["samples_ns"]), **times}


def _conclusion(part: Sequence[Shown]) -> str:
    """Name the fastest and the slowest, and how far apart their medians are."""
    by_time = sorted(part, key=lambda one: int(one.case["p50_ns"]))
    first, last = by_time[0], by_time[-1]
    if first is last:
        return f"{first.label}: half of the samples take {duration(first.case['p50_ns'])} or less."
    ratio = last.case["p50_ns"] / first.case["p50_ns"]
    return (
        f"{last.label} has the longest median, {duration(last.case['p50_ns'])}: {ratio:.3g} times "
        f"that of {first.label}, {duration(first.case['p50_ns'])}."
    )
