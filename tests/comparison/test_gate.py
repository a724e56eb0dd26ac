"""Two runs of one build pass the gate in 19 of 20 tries, and a real slowdown does not."""

from itertools import permutations
from typing import Any

import pytest

from engramctl.comparison.document import compared
from tests.comparison.conftest import Written
from tests.comparison.noisy import Machine, noisy_result
from tests.comparison.recorded import recorded_results

TRIES = 20
LIMIT = {"p50": 5.0}


def fails(written: Written, old: Any, new: Any) -> set[str]:
    """The cases that the gate names."""
    found = compared(written(old, "old"), [written(new, "new")], LIMIT)
    return {row["case"] for row in found["rows"] if row["fails"]}


def test_runs_that_were_recorded_on_a_busy_machine_pass(written: Written) -> None:
    runs = recorded_results()
    tries = [bool(fails(written, *pair)) for pair in permutations(runs, 2)]
    assert len(tries) == 90
    assert sum(tries) <= len(tries) / TRIES
    medians = [sorted(run["cases"][3]["samples_ns"])[60] for run in runs]
    assert max(medians) > 1.5 * min(medians)  # so it is not for want of noise


@pytest.mark.parametrize(
    "machine",
    [
        Machine(),
        Machine(wander=0.1, run=0.1),
        Machine(sample=0.005, wander=0.001, run=0.001, place=0.03),
    ],
    ids=["usual", "drifting", "memory elsewhere"],
)
def test_runs_of_one_build_pass_in_nineteen_of_twenty_tries(
    written: Written, machine: Machine
) -> None:
    tries = [
        fails(written, noisy_result(2 * seed, machine), noisy_result(2 * seed + 1, machine))
        for seed in range(TRIES)
    ]
    assert sum(map(bool, tries)) <= 1


def test_a_slowdown_by_a_fifth_is_found_in_nineteen_of_twenty_tries(written: Written) -> None:
    machine = Machine()
    tries = [
        fails(written, noisy_result(2 * seed, machine), noisy_result(2 * seed + 1, machine, 1.2))
        for seed in range(TRIES)
    ]
    assert sum(map(bool, tries)) >= TRIES - 1
    assert not any("none" in case for found in tries for case in found)
    assert sum(map(len, tries)) > 0.8 * 6 * TRIES  # most of the six cases that became slower


def test_an_idle_machine_lets_a_tenth_be_seen_and_a_hundredth_pass(written: Written) -> None:
    idle = Machine(sample=0.01, wander=0.002, run=0.002, place=0.001)
    old = noisy_result(0, idle)
    assert len(fails(written, old, noisy_result(1, idle, 1.1))) == 6
    assert fails(written, old, noisy_result(1, idle, 1.01)) == set()


def test_the_rates_of_the_machine_itself_say_that_it_was_another_hour(written: Written) -> None:
    """A run that is slower by a fifth, on a machine whose memory was, is no finding."""
    idle = Machine(sample=0.01, wander=0.002, run=0.002, place=0.001)
    old, new = noisy_result(0, idle), noisy_result(1, idle, 1.2)
    assert fails(written, old, new)
    new["ceilings"]["memory_lines_per_s"] /= 1.2
    assert fails(written, old, new) == set()
    found = compared(written(old, "old"), [written(new, "new")], {})
    assert "random lines of memory a second" in [one["fact"] for one in found["differences"]]
