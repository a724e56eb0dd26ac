"""What latency and overhead show of a small result, by hand; no drawing."""

from typing import Any

from engramctl.report.figures.figure import TINTS, Rows
from engramctl.report.figures.latency import latency_figures
from engramctl.report.figures.overhead import overhead_figures
from engramctl.report.figures.places import MOST_ROWS, parts, shown_cases
from engramctl.results.document import as_current
from engramctl.shown.figures import BELOW
from tests.results.older import FIRST


def current() -> dict[str, Any]:
    found = as_current(FIRST)
    assert found is not None
    return found


def test_every_sample_is_shown_in_the_order_it_was_taken() -> None:
    shown = shown_cases({"old": current()})
    plots = [figure.plot for figure in latency_figures(shown)]
    assert all(isinstance(plot, Rows) for plot in plots)
    rows = [row for plot in plots if isinstance(plot, Rows) for row in plot.rows]
    assert [row.samples for row in rows] == [tuple(one.case["samples_ns"]) for one in shown]
    assert rows[0].samples == (5, 4, 9)
    assert rows[0].marks == {"median": 5}, "no p99 of three samples"


def test_what_is_below_the_resolution_has_neither_mark_nor_number() -> None:
    document = current()
    for resolution, mark, word in ((1.5, {}, BELOW), (0.5, {"value": 1.0}, "+1.0 %")):
        for case in document["cases"]:
            case["resolution_percent"] = resolution
        [figure] = overhead_figures(shown_cases({"old": document}))
        assert isinstance(figure.plot, Rows)
        [row] = figure.plot.rows
        assert row.marks == mark
        assert row.band == (-resolution, resolution)
        assert figure.table.rows[0]["longer by"] == word


def test_flagged_cases_and_wrong_rows_are_not_compared() -> None:
    document = current()
    document["cases"][2]["flags"] = ["other threads"]
    assert list(overhead_figures(shown_cases({"old": document}))) == []
    document["cases"][0]["status"] = "failed"
    assert all(one.case["name"] == "step" for one in shown_cases({"old": document}))


def test_many_lines_are_several_figures_of_keys_and_titles_of_their_own() -> None:
    found = list(parts("key", "title", range(2 * MOST_ROWS + 1)))
    assert [key for key, _, _ in found] == ["key-1", "key-2", "key-3"]
    assert sum(len(part) for _, _, part in found) == 2 * MOST_ROWS + 1
    assert [key for key, _, _ in parts("key", "title", [1])] == ["key"]


def test_a_line_says_that_it_found_what_the_tokens_before_left() -> None:
    document = current()
    first, _, host, _ = document["cases"]
    first |= {"tier": "ssd", "cache": "traffic", "loop": "traffic", "name": "step"}
    host |= {"loop": "traffic"}
    shown = shown_cases({"old": document})
    assert [one.label for one in shown if one.case["tier"] == "ssd"] == ["ssd traffic"]
    assert [one.label for one in shown if one.case["tier"] == "host"] == ["host, beside traffic"]
    says = " ".join(figure.says for figure in latency_figures(shown))
    assert "'beside traffic' was measured in turn with cases of ssd" in says
    assert "beside cold" not in says


def test_a_mixture_over_ssd_says_its_state_and_has_a_colour_of_its_own() -> None:
    document = current()
    first = document["cases"][0]
    first |= {"tier": "host:1GiB,ssd", "cache": "traffic", "loop": "traffic"}
    labels = {one.label: one.tint for one in shown_cases({"old": document})}
    assert "host:1GiB,ssd traffic" in labels
    assert labels.pop("host:1GiB,ssd traffic") not in labels.values()
    first |= {"cache": "cold", "loop": "cold"}
    [cold] = [one for one in shown_cases({"old": document}) if "," in one.case["tier"]]
    assert TINTS[cold.tint] == "cold"
