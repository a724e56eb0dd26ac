"""A result as tables: the one people read, and the one for programs."""

from typing import Any

from engramctl.output import Table

_SCALES = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"))


def result_tables(document: dict[str, Any]) -> list[Table]:
    """Return the table people read: one row a case, and why cases were skipped."""
    measured = [_row(case) for case in document["cases"] if case["samples_ns"]]
    skipped = {
        f"{case['tier']}: {case['reason']}": None
        for case in document["cases"]
        if case["status"] == "skipped"
    }
    tables = [Table(f"lookups in {document['config']['path']}", measured)]
    if skipped:
        tables.append(Table("skipped", [{"tier": text} for text in skipped]))
    return tables


def raw_tables(document: dict[str, Any]) -> list[Table]:
    """Return the cases as numbers, for programs: units in the column names, samples left out."""
    rows = [
        {
            **{name: value for name, value in case.items() if not isinstance(value, dict | list)},
            **{
                f"{group}_{name}": value
                for group in ("resident_percent", "against", "check")
                for name, value in case[group].items()
            },
            **{
                f"against_{name}_below_resolution": below_resolution(
                    case["against"][f"{name}_percent"], case["resolution_percent"]
                )
                for name in ("none", "resident")
            },
        }
        for case in document["cases"]
    ]
    return [Table("cases", rows)]


def _row(case: dict[str, Any]) -> dict[str, object]:
    before = case["resident_percent"]["before"]
    resolution = case["resolution_percent"]
    return {
        "case": case["name"],
        "phase": case["phase"],
        "tier": case["tier"],
        "cache": case["cache"],
        "p50": duration(case["p50_ns"]),
        "p99": duration(case["p99_ns"]),
        "rows/s": case["rows_per_s"],
        "bytes/lookup": case["useful_bytes"] or None,
        "disk bytes": None if case["device_bytes"] is None else round(case["device_bytes"]),
        "resident": None if before is None else f"{before:.0f} %",
        "waits": duration(case["stall_ns"]),
        "over none": overhead(case["against"]["none_percent"], resolution),
        "over memory": overhead(case["against"]["resident_percent"], resolution),
        "resolution": percent(resolution),
    }


def duration(time_ns: float | None) -> str | None:
    """Show a time at three digits.

    Example:
        >>> duration(4_210), duration(1_234_000_000), duration(730)
        ('4.21 µs', '1.23 s', '730 ns')
    """
    if time_ns is None:
        return None
    for size, unit in _SCALES:
        if time_ns >= size:
            return f"{time_ns / size:.3g} {unit}"
    return f"{time_ns:.0f} ns"


def percent(value: float | None) -> str | None:
    """Show a percentage at two digits.

    Example:
        >>> percent(0.8421), percent(12.3), percent(154.2)
        ('0.84 %', '12 %', '154 %')
    """
    if value is None:
        return None
    return f"{value:.0f} %" if value >= 10 else f"{value:.2g} %"


def overhead(more_percent: float | None, resolution: float | None) -> str | None:
    """Show an overhead, unless two copies of one arm may differ by as much.

    Example:
        >>> overhead(4.2, 1.5), overhead(-1.2, 1.5)
        ('+4.2 %', 'below resolution')
    """
    if more_percent is None:
        return None
    below = below_resolution(more_percent, resolution)
    return "below resolution" if below else f"{more_percent:+.1f} %"


def below_resolution(more_percent: float | None, resolution: float | None) -> bool | None:
    """Tell whether two copies of one arm may differ by as much; None when that is not known."""
    return None if more_percent is None or resolution is None else abs(more_percent) < resolution
