"""IDs of cases: stable, readable, safe in a shell; and commas are no sweep."""

import re
from dataclasses import fields
from typing import Any

import pytest

from engramctl.errors import ConfigError
from engramctl.sweep.axes import AXES, CASES, NAMES, PHASES, Axis
from engramctl.sweep.loops import plan_loops
from engramctl.sweep.options import DECIDING, BenchOptions
from engramctl.sweep.repeated import one_value, repeated
from tests.conftest import RunCli


def ids(**options: Any) -> list[str]:
    loops = plan_loops(BenchOptions(**options))
    return [loop.id_of(tier) for loop in loops for tier in loop.tiers]


def test_every_axis_is_an_option_that_may_be_repeated(run_cli: RunCli) -> None:
    help = run_cli("bench", "--help").stdout.partition("\nOptions:")[2]
    assert set(NAMES) <= {one.name for one in fields(BenchOptions)}
    for axis in AXES:
        paragraph = re.split(r"\n  (?=-)", help.partition(f"{axis.option} ")[2])[0]
        assert " *" in paragraph, axis.option
        assert axis.name not in DECIDING


def test_an_id_says_sizes_always_and_other_options_where_they_are_not_the_default() -> None:
    assert ids(tiers=("ssd",), cases=("step",), cache="cold", batch=8, context=1024) == [
        "step.decode.ssd.cold.b8.c1024",
        "step.prefill.ssd.cold.b8.t512",
    ]
    [decode, _] = ids(tiers=("host",), cases=("step",), preset="tiny", residual="none")
    assert decode == "step.decode.host.warm.b1.c64.preset-tiny.residual-none"


def test_ids_are_unique_and_safe_in_a_shell() -> None:
    found = ids(sweep={"batch": (1, 8), "context": (1, 64), "residual": ("mhc", "none")})
    assert len(set(found)) == len(found)
    assert all(re.fullmatch(r"[A-Za-z0-9_.-]+", one) for one in found)
    assert Axis("set", "set-").part("a b;c=$HOME") == "set-a-b-c-HOME"


def test_an_id_is_the_same_in_a_sweep_and_alone() -> None:
    swept = ids(sweep={"batch": (1, 8), "preset": ("small", "tiny")})
    assert set(ids(batch=8, preset="tiny")) <= set(swept)


def test_what_an_axis_does_not_change_is_measured_once() -> None:
    sweep = {"context": (8, 16), "preset": ("small", "tiny"), "tokens": (4, 8)}
    found = ids(tiers=("host",), sweep=sweep)
    kinds = [tuple(one.split(".")[:2]) for one in found]
    counts = {(case, phase): kinds.count((case, phase)) for case in CASES for phase in PHASES}
    assert counts == {
        ("gather", "decode"): 1, ("gather", "prefill"): 2,
        ("lookup", "decode"): 2, ("lookup", "prefill"): 4,
        ("step", "decode"): 4, ("step", "prefill"): 4,
    }  # fmt: skip


def test_values_of_a_sweep_are_checked_like_single_ones() -> None:
    with pytest.raises(ConfigError, match="unknown --preset 'smal'"):
        BenchOptions(preset="tiny", sweep={"preset": ("tiny", "smal")})
    with pytest.raises(ConfigError, match="--batch must be at least 1"):
        BenchOptions(sweep={"batch": (1, 0)})


@pytest.mark.parametrize(("option", "value"), [("--batch", "1,8"), ("--preset", "tiny,1b")])
def test_a_comma_says_to_repeat_the_option(run_cli: RunCli, option: str, value: str) -> None:
    answer = run_cli("bench", "--list", option, value)
    assert answer.exit_code == 2
    assert "a comma joins parts of one mixture" in answer.stderr
    assert f"repeat the option: {option} {value.replace(',', f' {option} ')}" in answer.stderr
    with pytest.raises(ConfigError):
        one_value(option, value)


def test_a_comma_between_thousands_is_no_mixture(run_cli: RunCli) -> None:
    answer = run_cli("bench", "--list", "--context", "1,024", "--case", "step.decode", "--json")
    assert [case["axes"]["context"] for case in answer.json["cases"]] == [1024] * 4


def test_an_option_that_is_no_axis_takes_one_value(run_cli: RunCli) -> None:
    answer = run_cli("bench", "--list", "--seed", "1", "--seed", "2")
    assert answer.exit_code == 2
    assert "--seed takes one value" in answer.stderr


def test_a_value_given_twice_counts_once() -> None:
    assert repeated(batch=[8, 8], context=[1, 2, 1]) == {
        "batch": 8, "context": 1, "sweep": {"context": (1, 2)}
    }  # fmt: skip
