"""Rows for programs: files of several runs can be joined, and no row holds a doubtful figure."""

import copy
import csv
import io
import json
import re
from pathlib import Path
from typing import Any

import pytest

from engramctl.output import Output
from engramctl.results.document import as_current
from engramctl.shown.rows import case_rows
from engramctl.shown.tables import raw_tables, result_tables
from tests.results.older import FIRST


def doubtful(fresh: dict[str, Any]) -> dict[str, Any]:
    """A result whose differences are all below resolution, and easy to find where printed."""
    document = copy.deepcopy(fresh)
    for case in document["cases"]:
        if case["samples_ns"]:
            case["resolution_percent"] = 50.0
            case["against"] = {
                "none_percent": 31.25, "resident_percent": -43.75, "ready_percent": 37.25
            }  # fmt: skip
    return document


def printed(tables: list[Any], form: str, capsys: pytest.CaptureFixture[str]) -> str:
    Output(format=form).result({}, tables)
    return capsys.readouterr().out


@pytest.mark.parametrize("form", ["table", "md", "csv"])
def test_a_difference_below_resolution_is_never_printed_as_a_number(
    fresh: dict[str, Any], form: str, capsys: pytest.CaptureFixture[str]
) -> None:
    show = raw_tables if form == "csv" else result_tables
    text = printed(show(doubtful(fresh)), form, capsys)
    number = (  # with its sign: a time may be 31.2 µs by chance
        r"(^|,)-?(31\.25|43\.75|37\.25)(,|$)"
        if form == "csv"
        else r"[+-](31\.[23]|43\.[78]|37\.[23])"
    )
    assert not re.search(number, text, re.MULTILINE)
    if form != "csv":
        assert "below resolution" in text


def test_of_a_difference_below_resolution_csv_has_the_flag_alone(
    fresh: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    text = printed(raw_tables(doubtful(fresh)), "csv", capsys)
    rows = [row for row in csv.DictReader(io.StringIO(text)) if row["status"] == "ok"]
    for row in rows:
        for name in ("none", "resident", "ready"):
            assert row[f"against_{name}_percent"] == ""
            assert row[f"against_{name}_below_resolution"] == "True"


def test_a_difference_above_it_is_the_number_of_the_result(fresh: dict[str, Any]) -> None:
    document = doubtful(fresh)
    for case in document["cases"]:
        case["resolution_percent"] = 25.0
    rows = [row for row in case_rows(document) if row["samples"]]
    assert {row["against_none_percent"] for row in rows} == {31.25}
    assert {row["against_resident_below_resolution"] for row in rows} == {False}


def test_every_row_says_which_run_it_is_of(fresh: dict[str, Any]) -> None:
    config = fresh["config"]
    for row in case_rows(fresh):
        assert row["dtype"] == config["layout"]["dtype"]
        assert row["created_utc"] == fresh["created_utc"]
        for name in ("path", "scheme", "preset", "residual", "trace", "context", "seed"):
            assert row[name] == config[name]
    assert [row["samples"] for row in case_rows(fresh)] == [
        len(case["samples_ns"]) for case in fresh["cases"]
    ]


def test_rows_of_older_results_have_the_same_columns(fresh: dict[str, Any]) -> None:
    older = as_current(FIRST)
    assert older is not None
    ours = {name for name in case_rows(fresh)[0] if not name.startswith("axes_")}  # of no old one
    assert set(case_rows(older)[0]) == ours
    assert case_rows(older)[0]["dtype"] is None


def test_the_result_itself_keeps_the_numbers(fresh: dict[str, Any], tmp_path: Path) -> None:
    document = doubtful(fresh)
    case_rows(document)
    assert document == doubtful(fresh)
    assert "31.25" in json.dumps(document)


def test_a_row_has_the_options_of_its_own_point(fresh: dict[str, Any]) -> None:
    document = copy.deepcopy(fresh)
    document["config"] |= {"sweep": {"preset": ["small", "tiny"]}, "preset": "small"}
    for row in case_rows(document):
        assert row["preset"] == (None if row["name"] == "gather" else "tiny")
        assert row["axes_context"] == (
            3 if (row["name"], row["phase"]) == ("step", "decode") else None
        )
