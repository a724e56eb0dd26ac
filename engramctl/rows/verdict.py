"""What is said of row ids that differ: where first, and which mistake gives such ids."""

from pathlib import Path

from engramctl.errors import CheckFailed
from engramctl.rows.diff import Comparison, Difference


def verdict(found: Comparison, first: Difference, path: Path) -> CheckFailed:
    """Return the error that says how `path` differs.

    Args:
        found: the comparison.
        first: its first difference.
        path: the file compared.
    """
    likely = [f"{one.name}: {one.explanation}" for one in found.likely]
    return CheckFailed(
        f"{path} has {found.differing_ids:,} other row ids of {found.compared_ids:,}",
        facts={
            "first": f"sequence {first.sequence}, position {first.position}, layer {first.layer}, "
            f"order {first.order}, head {first.head}",
            "expected": first.expected,
            "found": first.found,
            "likely": "\n          ".join(likely) or _closest(found),
        },
        hint=None
        if likely
        else f"look at: engramctl rows --layer {first.layer} --explain {first.position}",
    )


def _closest(found: Comparison) -> str:
    if found.closest is None:
        return "no known mistake gives these ids"
    return (
        f"no known mistake gives all these ids; closest, with {found.closest_percent:.1f} % of "
        f"those that differ: {found.closest.name}: {found.closest.explanation}"
    )
