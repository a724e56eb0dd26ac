"""When a step's launches hide what is measured, and what the table then says."""

from typing import Any

import pytest

from engramctl.results.launch_bound import launch_bound, over_floor_percent, residual_lines
from tests.results.older import FIRST


@pytest.mark.parametrize(
    ("time_ns", "floor_ns", "step_ns", "expected"),
    [
        (31, 0, 100, True),
        (30, 0, 100, False),  # just as much as is allowed
        (80, 60, 100, False),  # most of the step, and nearly all of it bytes
        (95, 60, 100, True),
        (10, 60, 100, False),  # faster than a copy: from a cache
        (1, 0, 0, False),
    ],
)
def test_it_is_the_time_above_the_floor_that_counts(
    time_ns: int, floor_ns: int, step_ns: int, expected: bool
) -> None:
    assert launch_bound(time_ns, floor_ns, step_ns) is expected


def test_the_share_is_of_the_step() -> None:
    assert over_floor_percent(45, 5, 80) == 50
    assert over_floor_percent(5, 45, 80) == 0


def row(phase: str, *, bound: bool, samples: int = 5, launches: int | None = 101) -> dict[str, Any]:
    return {
        "phase": phase, "samples": samples, "mhc_launches_per_sublayer": launches,
        "mhc_kernels": "eager", "mhc_launch_bound": bound,
    }  # fmt: skip


def test_each_phase_is_told_once_and_one_that_proves_nothing_says_so() -> None:
    rows = [row("decode", bound=True)] * 2 + [row("prefill", bound=False)]
    rows += [row("decode", bound=True, samples=0), row("prefill", bound=True, launches=None)]
    lines = residual_lines(rows)
    assert lines == [
        "residual in decode: eager, 101 launches a sublayer",
        "launch-bound decode: nothing can be concluded about waits, hidden by launches",
        "residual in prefill: eager, 101 launches a sublayer",
    ]
    assert max(map(len, lines)) <= 80


def test_a_result_of_before_says_nothing_of_it() -> None:
    from engramctl.results.document import as_current
    from engramctl.shown.tables import result_tables

    document = as_current(FIRST)
    assert document is not None
    assert "residual in" not in result_tables(document)[0].caption
