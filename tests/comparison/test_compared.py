"""Cases are matched, what differs is told, and a gate refuses what it cannot judge."""

import copy
from typing import Any

import numpy as np
import pytest

from engramctl.comparison.differences import NAMES, differences
from engramctl.comparison.document import compared
from engramctl.comparison.spread import spread
from engramctl.errors import ConfigError, FormatError
from tests.comparison.conftest import Written
from tests.comparison.noisy import Machine, noisy_result
from tests.results.older import FIRST

QUIET = Machine(sample=0.01, wander=0.002, run=0.002, place=0.001)


@pytest.fixture(scope="module")
def results() -> tuple[Any, Any]:
    return noisy_result(0, QUIET), noisy_result(1, QUIET)


def changed(document: Any, **config: Any) -> Any:
    other = copy.deepcopy(document)
    other["config"] |= config
    return other


@pytest.mark.parametrize(
    ("name", "part", "change"),
    [
        ("machine", "environment", {"cpu": "another"}),
        ("machine", "environment", {"num_cpus": 64}),
        ("table", "config", {"table_xxh3_128": "cd"}),
        ("table", "config", {"layout": {"form": "planar", "dtype": "f32"}}),
        ("preset", "config", {"preset": "small"}),
        ("threads", "config", {"threads": 7}),
        ("trace", "config", {"trace": "uniform"}),
    ],
)
def test_a_gate_refuses_another_and_is_told_to_allow_it(
    results: tuple[Any, Any], written: Written, name: str, part: str, change: dict[str, Any]
) -> None:
    old, new = results[0], copy.deepcopy(results[1])
    new[part] |= change
    if name == "preset":
        for case in new["cases"]:
            case["axes"]["preset"] = case["axes"]["preset"] and "small"
    paths = written(old, "old"), [written(new, "new")]
    with pytest.raises(ConfigError, match=f"another {name}") as refused:
        compared(*paths, {"p50": 5.0})
    assert f"--allow-different {name}" in (refused.value.hint or "")
    assert len(compared(*paths, {"p50": 5.0}, [name])["rows"]) == 14
    assert compared(*paths, {})["differences"][0]["name"] == name


def test_facts_that_one_does_not_say_are_told_and_hinder_nothing(results: tuple[Any, Any]) -> None:
    old, new = results
    unsaid = changed(new)
    del unsaid["config"]["table_xxh3_128"], unsaid["config"]["threads"]
    found = {one.fact: one for one in differences(old, unsaid)}
    assert not any(one.hinders for one in found.values())
    assert (found["threads"].old, found["threads"].new) == ("2", None)


def test_the_same_result_twice_has_no_difference(
    results: tuple[Any, Any], written: Written
) -> None:
    path = written(results[0], "same")
    found = compared(path, [path], {"p50": 0.0})
    assert found["differences"] == found["not_compared"] == []
    assert {row["ratio"] for row in found["rows"]} == {1.0}
    assert {row["verdict"] for row in found["rows"] if row["of"] == "p50"} == {"no difference seen"}


def test_a_swept_option_tells_cases_apart_and_so_does_the_batch(written: Written) -> None:
    old = noisy_result(0, QUIET)
    more = copy.deepcopy(old["cases"])
    for case in more:
        case["axes"]["batch"] = case["batch"] = 8
        case["samples_ns"] = [3 * one for one in case["samples_ns"]]
    new = {**copy.deepcopy(old), "cases": more + old["cases"]}
    found = compared(written(old, "old"), [written(new, "new")], {})
    assert {row["ratio"] for row in found["rows"]} == {1.0}
    assert {one["reason"] for one in found["not_compared"]} == {"OLD does not have it"}


def test_what_failed_was_cut_short_or_ran_otherwise_is_not_compared(written: Written) -> None:
    old, new = noisy_result(0, QUIET), noisy_result(1, QUIET)
    new["cases"][0] |= {"status": "failed", "reason": "wrong rows"}
    new["cases"][1] |= {"status": "skipped", "reason": "interrupted"}
    new["cases"][2]["flags"] = ["other threads"]
    del new["cases"][3]
    alone = compared(written(old, "old"), [written(new, "new")], {})["not_compared"]
    assert [one["reason"] for one in alone] == [
        "NEW: wrong rows", "NEW: interrupted", "NEW: other threads", "NEW does not have it",
    ]  # fmt: skip
    assert [one["failed"] for one in alone] == [True, False, False, False]


def after_traffic(document: Any, tokens: list[int | None], cache: str = "traffic") -> Any:
    """Return a result whose first cases were measured so many tokens after the beginning."""
    other = copy.deepcopy(document)
    for case, before in zip(other["cases"], tokens, strict=False):
        case |= {"cache": cache, "loop": cache, "tokens_before": before}
    return other


def test_samples_after_another_history_are_not_compared(written: Written) -> None:
    old = after_traffic(noisy_result(0, QUIET), [20_002, 7, None])
    new = after_traffic(noisy_result(1, QUIET), [5, 7, 9])
    found = compared(written(old, "old"), [written(new, "new")], {})
    [alone] = found["not_compared"]
    assert alone["case"] == old["cases"][0]["id"]
    assert "20,002 in OLD, 5 in NEW" in alone["reason"]
    assert len(found["rows"]) == 2 * (len(old["cases"]) - 1)
    warm = [after_traffic(one, [before], "warm") for one, before in ((old, 1), (new, 2))]
    pair = written(warm[0], "warm"), [written(warm[1], "warmer")]
    assert compared(*pair, {})["not_compared"] == []


def test_an_old_schema_is_compared_with_a_new_one(written: Written) -> None:
    first = copy.deepcopy(FIRST)
    first["cases"][0]["samples_ns"] = list(range(190_000, 190_200))
    new = noisy_result(1, QUIET)
    found = compared(written(first, "old"), [written(new, "new")], {})
    assert {row["name"] for row in found["rows"]} >= {"gather"}
    assert found["rows"][0]["case"] == "gather.decode.host.warm.b1"


def test_each_of_several_is_compared_with_the_first(
    results: tuple[Any, Any], written: Written
) -> None:
    old, new = results
    files = [written(new, "one"), written(old, "two")]
    found = compared(written(old, "old"), files, {})
    assert {row["ratio"] for row in found["rows"] if row["file"] == str(files[1])} == {1.0}
    assert {row["ratio"] for row in found["rows"] if row["file"] == str(files[0])} != {1.0}


def test_paired_rounds_cancel_what_slows_both(written: Written) -> None:
    shaky = Machine(sample=0.001, wander=0.3, run=0.0)
    old = noisy_result(0, shaky)
    new = copy.deepcopy(old)
    for case in new["cases"]:
        case["samples_ns"] = [round(1.02 * one) for one in case["samples_ns"]]
    paths = written(old, "old"), [written(new, "new")]
    apart = {row["verdict"] for row in compared(*paths, {})["rows"] if row["of"] == "p50"}
    paired = compared(*paths, {}, paired=True)["rows"]
    assert apart == {"no difference seen"}
    assert {row["verdict"] for row in paired if row["of"] == "p50"} == {"slower"}
    new["cases"][0]["samples_ns"].pop()
    with pytest.raises(ConfigError, match="as many samples"):
        compared(paths[0], [written(new, "new")], {}, paired=True)


def test_a_tail_of_few_samples_has_no_interval_and_a_limit_on_it_is_refused(
    results: tuple[Any, Any], written: Written
) -> None:
    paths = written(results[0], "old"), [written(results[1], "new")]
    rows = [row for row in compared(*paths, {})["rows"] if row["of"] == "p99"]
    assert {row["verdict"] for row in rows} == {"too few samples"}
    assert {row["ratio_high"] for row in rows} == {None}
    with pytest.raises(ConfigError, match="too few samples"):
        compared(*paths, {"p99": 10.0})


def test_ten_thousand_samples_tell_of_their_tail(written: Written) -> None:
    random = np.random.default_rng(0)
    one = spread(1e5 * np.exp(random.standard_normal(10_000)), 99, 0)
    assert 0.1 < one.width(3 * one.deviation) < 0.4


def test_samples_that_follow_each_other_count_for_fewer() -> None:
    ratios = []
    for seed in range(20):
        random = np.random.default_rng(seed)
        alone = spread(np.exp(random.standard_normal(200)), 50, 0)
        alike = spread(np.exp(np.repeat(random.standard_normal(20), 10)), 50, 0)
        ratios.append(alike.deviation / alone.deviation)
    assert np.mean(ratios) > 1.7


@pytest.mark.parametrize(
    "change",
    [
        {"cases": [{}]}, {"cases": 7}, {"cases": [None]}, {"environment": 3}, {"config": []},
        {"environment": {"gpu": 1}}, {"ceilings": [1]}, {"ceilings": {"memory_lines_per_s": "x"}},
        {"ceilings": {"disk": {"random": [1]}}}, {"config": {"sweep": 4}},
    ],
)  # fmt: skip
@pytest.mark.parametrize("place", ["old", "new"])
def test_a_broken_result_is_named(
    results: tuple[Any, Any], written: Written, change: dict[str, Any], place: str
) -> None:
    broken, whole = written({**results[0], **change}, "broken"), written(results[1], "whole")
    pair = (broken, [whole]) if place == "old" else (whole, [broken])
    with pytest.raises(FormatError, match=r"broken.json is not as engramctl bench writes"):
        compared(*pair, {})


@pytest.mark.parametrize("samples", [[0, 1], [-1, 5], ["1", "x"], [[1], [2]], [1e999, 1], "abc"])
def test_samples_that_are_no_times_are_refused(
    results: tuple[Any, Any], written: Written, samples: Any
) -> None:
    broken = copy.deepcopy(results[0])
    broken["cases"][0]["samples_ns"] = samples
    with pytest.raises(FormatError, match="not as engramctl bench writes"):
        compared(written(results[1], "old"), [written(broken, "new")], {})


def test_results_without_a_case_in_common_are_no_comparison(
    results: tuple[Any, Any], written: Written
) -> None:
    empty = {**results[1], "cases": results[1]["cases"][:2]}
    other = {**results[0], "cases": results[0]["cases"][2:]}
    with pytest.raises(FormatError, match="no case in common"):
        compared(written(other, "old"), [written(empty, "new")], {})


def test_names_that_may_differ_are_those_that_hinder() -> None:
    assert {"machine", "table", "preset", "threads"} <= set(NAMES)


def test_no_row_cache_is_another_than_one_and_no_gap_of_older_results(
    results: tuple[Any, Any],
) -> None:
    old, new = results
    for name, value in (("row_cache_bytes", 4096), ("warm", "counts"), ("budget_bytes", 1 << 20)):
        [found] = [
            one
            for one in differences(changed(old, **{name: None}), changed(new, **{name: value}))
            if one.fact == name
        ]
        assert (found.old, found.new, found.hinders) == ("none", str(value), True)
        older = {key: one for key, one in old["config"].items() if key != name}
        unsaid = differences({**old, "config": older}, changed(new, **{name: None}))
        assert not any(one.hinders for one in unsaid if one.fact == name)
