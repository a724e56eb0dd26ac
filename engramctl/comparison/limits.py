"""`--fail-if p50:5%`: how much slower a case may be, read and held against what was found."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from engramctl.errors import CheckFailed, ConfigError, unknown

PERCENTILES = {"p50": 50.0, "p90": 90.0, "p99": 99.0}
_LIMIT = re.compile(r"(\w+):\s*(\d+(?:\.\d*)?|\.\d+)\s*%")
_FOR_P99 = 1_000  # ten beyond it
_SHOWN = 8  # rows that fail, in the message


def read_limits(words: Sequence[str]) -> dict[str, float]:
    """Return how many percent slower each percentile may be.

    Raises:
        ConfigError: a word of another form, an unknown percentile, or one that is named twice.

    Example:
        >>> read_limits(["p50:5%", "p99:12.5%"])
        {'p50': 5.0, 'p99': 12.5}
    """
    found: dict[str, float] = {}
    for word in words:
        said = _LIMIT.fullmatch(word.strip())
        if said is None:
            raise ConfigError(
                f"--fail-if cannot be read: '{word}'",
                facts={"expected": "a percentile and a share, such as p50:5%"},
                hint=f"percentiles are {', '.join(PERCENTILES)}",
            )
        name, share = said.groups()
        if name not in PERCENTILES:
            raise unknown("percentile in --fail-if", name, PERCENTILES)
        if name in found:
            raise ConfigError(f"--fail-if names {name} twice", facts={"found": ", ".join(words)})
        found[name] = float(share)
    return found


def check_judged(rows: Sequence[Mapping[str, Any]], limits: Mapping[str, float]) -> None:
    """Refuse a limit that no row could be held against: it would always pass.

    Raises:
        ConfigError: names the percentile that no case has.
    """
    for name in limits:
        if all(row["ratio_low"] is None for row in rows if row["of"] == name):
            most = max((min(row["old_samples"], row["new_samples"]) for row in rows), default=0)
            raise ConfigError(
                f"--fail-if {name} can judge no case: too few samples",
                facts={"found": f"{most:,} at most in both results"},
                hint=f"measure both with more --samples, for p99 {_FOR_P99:,} or more",
            )


def refuse_slower(document: Mapping[str, Any]) -> None:
    """End with a check that failed where a row is over its limit, or NEW went wrong.

    Args:
        document: of `engramctl.comparison.document.compared`.

    Raises:
        CheckFailed: names the rows.
    """
    slow = [row for row in document["rows"] if row["fails"]]
    wrong = [one for one in document["not_compared"] if one["failed"]]
    if not document["limits"] or not (slow or wrong):
        return
    facts = {
        _named(row): f"{100 * (row['ratio'] - 1):+.1f} % ({percents(row)}), "
        f"over {row['limit_percent']:+g} %"
        for row in slow[:_SHOWN]
    } | {one["case"]: one["reason"] for one in wrong[:_SHOWN]}
    left = len(slow) + len(wrong) - len(facts)
    raise CheckFailed(
        f"{len(slow)} of {sum(row['limit_percent'] is not None for row in document['rows'])} "
        "judged rows are slower than --fail-if allows"
        + (f", {len(wrong)} cases went wrong" if wrong else ""),
        facts=facts | ({"and": f"{left} more"} if left > 0 else {}),
        hint="every row stands in the table; measure both again to be sure",
    )


def percents(row: Mapping[str, Any]) -> str:
    """Show an interval of ratios as percentages.

    Example:
        >>> percents({"ratio_low": 0.98, "ratio_high": 1.1})
        '-2.0 to +10.0 %'
    """
    if row["ratio_low"] is None:
        return "-"
    low, high = (100 * (row[name] - 1) for name in ("ratio_low", "ratio_high"))
    return f"{low:+.1f} to {high:+.1f} %"


def _named(row: Mapping[str, Any]) -> str:
    return f"{row['case']} {row['of']}"
