"""The demo's table: the baseline's time beside the step's, and a word on a busy machine."""

import copy
from typing import Any

import pytest

from engramctl.demo.noise import NOISY_PERCENT, noise_warnings
from engramctl.demo.view import demo_tables, skipped_rows, tier_rows

STEP_NS, WITHOUT_NS = 21_000_000, 18_000_000


def result(*loops: str) -> dict[str, Any]:
    """A result of the demo on the ssd tier, on an idle machine."""
    case: dict[str, Any] = {
        "cache": "warm", "status": "ok", "reason": None, "rows": 48, "useful_bytes": 3168,
        "p50_ns": 70_000, "p99_ns": 90_000, "rows_per_s": 9_000_000, "resolution_percent": 2.0,
        "against": {"none_percent": None, "resident_percent": None},
    }  # fmt: skip
    cases = []
    for number, loop in enumerate(loops):
        place = case | {"tier": "ssd", "cache": loop, "loop": loop}
        cases += [
            place | {"name": name, "phase": phase}
            for name in ("gather", "step")
            for phase in ("decode", "prefill")
        ]
        cases[-2] |= {"p50_ns": STEP_NS, "against": {"none_percent": 16.7}}
        none = {"name": "step", "phase": "decode", "tier": "none", "cache": None, "loop": loop}
        cases.append(case | none | {"p50_ns": WITHOUT_NS + number * 1_000_000})
    config = {"tiers": ["ssd"], "tokens": 128, "preset": "small", "residual": "mhc"}
    return {"config": config, "cases": copy.deepcopy(cases)}


def case_of(document: dict[str, Any], **wanted: object) -> dict[str, Any]:
    found: list[dict[str, Any]]
    found = [one for one in document["cases"] if wanted.items() <= one.items()]
    assert len(found) == 1
    return found[0]


def test_the_time_without_memory_is_of_the_same_loop() -> None:
    warm, cold = tier_rows(result("warm", "cold"))
    assert (warm["tier"], warm["step p50"], warm["without memory"]) == (
        "ssd warm",
        "21 ms",
        "18 ms",
    )
    assert (cold["tier"], cold["step p50"], cold["without memory"]) == (
        "ssd cold",
        "21 ms",
        "19 ms",
    )


def test_an_overhead_below_resolution_is_no_number() -> None:
    document = result("warm")
    assert tier_rows(document)[0]["overhead"] == "+16.7 %"
    case_of(document, name="step", phase="decode", tier="ssd")["resolution_percent"] = 17.0
    assert tier_rows(document)[0]["overhead"] == "below resolution"


def test_a_state_that_cannot_be_had_is_named_with_its_reason() -> None:
    document = result("warm", "cold")
    for case in document["cases"]:
        if case["cache"] == "cold":
            case |= {"status": "skipped", "reason": "the pages stay", "p50_ns": None}
    assert [row["tier"] for row in tier_rows(document)] == ["ssd warm"]
    assert skipped_rows(document) == [{"tier": "ssd cold", "why": "the pages stay"}]


def test_a_mixture_over_ssd_has_two_states_and_both_are_named() -> None:
    document = result("warm", "cold")
    document["config"]["tiers"] = ["host:1GiB,ssd"]
    for case in document["cases"]:
        if case["tier"] == "ssd":
            case["tier"] = "host:1GiB,ssd"
    rows = [row["tier"] for row in tier_rows(document)]
    assert rows == ["host:1GiB,ssd warm", "host:1GiB,ssd cold"]


def test_an_idle_machine_is_no_news() -> None:
    assert noise_warnings([result("warm", "cold"), result("warm")]) == []
    assert noise_warnings([]) == []


@pytest.mark.parametrize("name", ["gather", "step"])
def test_a_wide_resolution_of_a_decode_loop_is_told(name: str) -> None:
    document = result("warm")
    for case in document["cases"]:
        if (case["name"], case["phase"]) == (name, "decode"):
            case["resolution_percent"] = NOISY_PERCENT + 20.0
    [warning] = noise_warnings([result("warm"), document])
    assert "busy" in warning
    assert "30 %" in warning


def test_few_samples_of_a_prompt_are_no_sign_of_noise() -> None:
    document = result("warm")
    for case in document["cases"]:
        if case["phase"] == "prefill":
            case["resolution_percent"] = 40.0
    assert noise_warnings([document]) == []


def test_a_baseline_that_changed_between_loops_is_told() -> None:
    document = result("warm", "cold")
    case_of(document, tier="none", loop="cold")["p50_ns"] = 27_000_000
    [warning] = noise_warnings([document])
    assert "50 % longer" in warning


def test_warnings_stand_below_the_table() -> None:
    document = {
        "tokens": 7, "artefacts": [], "warnings": ["this machine was busy"],
        "results": {"engramctl bench": result("warm"), "engramctl mine": {}},
    }  # fmt: skip
    table = demo_tables(document)[0]
    assert table.caption.split("\n")[-1] == "warning: this machine was busy"
    assert "overhead" in table.caption
