"""The verdict for somebody's step: which rows are there when their layer begins."""

from typing import Any

import pytest

from engramctl.results.step_fit import step_fit
from engramctl.shown.step_fit_tables import step_fit_tables

MS = 1_000_000


def case(name: str, tier: str, arrivals: dict[int, list[int]], **more: Any) -> dict[str, Any]:
    layers = [{"layer": layer, "arrival_samples_ns": there} for layer, there in arrivals.items()]
    return {
        "name": name, "phase": "decode", "status": "ok", "tier": tier, "cache": "warm", "batch": 1,
        "layers": layers, **more,
    }  # fmt: skip


def test_a_layer_needs_its_rows_when_the_layers_before_it_are_done() -> None:
    cases = [case("gather", "ssd", {1: [MS] * 3 + [3 * MS], 14: [4 * MS] * 4})]
    fit = step_fit(cases, 20.0, 40, {1: 1, 14: 14})
    first, second = fit["layers"]
    assert (first["needed_ns"], second["needed_ns"]) == (MS // 2, 7 * MS)
    assert (first["late_p50_ns"], second["late_p50_ns"]) == (MS // 2, 0)
    assert (first["in_time_percent"], second["in_time_percent"]) == (0, 100)
    assert first["p99_ns"] is first["late_p99_ns"] is None
    assert step_fit(cases, 40.0, 40, {1: 1, 14: 14})["layers"][0]["in_time_percent"] == 75


def test_with_a_hundred_samples_the_tail_has_its_own_verdict() -> None:
    there = [MS] * 98 + [5 * MS] * 2
    [one] = step_fit([case("gather", "ssd", {1: there})], 80.0, 40, {1: 1})["layers"]
    assert (one["late_p50_ns"], one["late_p99_ns"]) == (0, 3 * MS)


def test_a_fetch_with_its_hash_is_taken_before_rows_alone() -> None:
    cases = [
        case("lookup", "host", {1: [9]}),
        case("gather", "host", {1: [5]}),
        case("gather", "ssd", {1: [6]}, cache="cold"),
        case("step", "host", {1: [7]}),
        case("step", "host", {1: [8]}, phase="prefill"),
        case("gather", "gpu", {}, status="skipped", layers=None),
    ]
    found = {
        (one["tier"], one["cache"]): (one["of"], one["p50_ns"])
        for one in step_fit(cases, 1.0, 4, {1: 1})["layers"]
    }
    assert found == {("host", "warm"): ("step", 7), ("ssd", "cold"): ("gather", 6)}


def test_people_get_a_small_table() -> None:
    assert step_fit_tables(None) == []
    cases = [case("gather", "ssd", {1: [MS] * 100}), case("gather", "host", {1: [MS // 4] * 100})]
    [table] = step_fit_tables(step_fit(cases, 20.0, 40, {1: 1}))
    assert table.title == "a step of 20 ms with 40 layers"
    assert [(row["in time"], row["late p50"], row["late p99"]) for row in table.rows] == [
        ("0 %", "500 µs", "500 µs"), ("100 %", None, None)
    ]  # fmt: skip
    assert max(map(len, table.caption.splitlines())) <= 80


@pytest.mark.parametrize("batches", [(1, 1), (1, 8)])
def test_the_batch_is_a_column_only_where_it_differs(batches: tuple[int, int]) -> None:
    cases = [
        case("gather", tier, {1: [MS]}, batch=batch)
        for tier, batch in zip(("host", "ssd"), batches, strict=True)
    ]
    [table] = step_fit_tables(step_fit(cases, 20.0, 40, {1: 1}))
    assert ("batch" in table.names) == (len(set(batches)) > 1)
