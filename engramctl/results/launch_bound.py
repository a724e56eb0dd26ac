"""Whether a step's residual hides what is measured: launches that dominate, judged in one place."""

from collections.abc import Iterable, Mapping
from typing import Any

# What a case says of the residual of its step; all None where it has no model.
NO_MHC: dict[str, Any] = dict.fromkeys(
    (
        "kernels", "launches_per_sublayer", "threads", "time_ns", "floor_ns",
        "over_floor_percent", "launch_bound",
    )
)  # fmt: skip
MOST_OVER_FLOOR = 0.30  # of a step; more than that is time in which rows may arrive unseen


def launch_bound(time_ns: float, floor_ns: float, step_ns: float) -> bool:
    """Tell whether the residual takes more of a step, beyond what its bytes need, than it may.

    A fast model's residual is near its floor; what it takes above that is launches and calls, and a
    reader works meanwhile. A wait measured beside it says nothing of a model without that time.

    Args:
        time_ns: the residual of all sublayers of a step.
        floor_ns: what moving its bytes takes.
        step_ns: the whole step, at the median.

    Example:
        >>> launch_bound(45e6, 1e6, 50e6), launch_bound(2e6, 1e6, 50e6), launch_bound(0, 1e6, 0)
        (True, False, False)
    """
    return over_floor_percent(time_ns, floor_ns, step_ns) > 100 * MOST_OVER_FLOOR


def over_floor_percent(time_ns: float, floor_ns: float, step_ns: float) -> float:
    """Return the residual's time above its floor, in percent of the step; 0 where there is none."""
    return 100 * max(0.0, time_ns - floor_ns) / step_ns if step_ns > 0 else 0.0


def residual_lines(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Say for each phase how the residual was run, and where nothing can be concluded.

    Args:
        rows: of `engramctl.shown.rows.case_rows`.

    Raises:
        LookupError, TypeError, ValueError: rows that a stranger made.
    """
    lines: dict[str, None] = {}
    for row in rows:
        if row["mhc_launches_per_sublayer"] is None or not row["samples"]:
            continue
        launches = f"{row['mhc_launches_per_sublayer']} launches a sublayer"
        lines.setdefault(f"residual in {row['phase']}: {row['mhc_kernels']}, {launches}")
        if row["mhc_launch_bound"]:
            lines.setdefault(
                f"launch-bound {row['phase']}: nothing can be concluded about waits, hidden by "
                "launches"
            )
    return list(lines)
