"""docs/result.schema.json and docs/result.md say what a result holds, today's and older ones."""

import copy
import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from engramctl.results.document import as_current
from tests.conftest import ROOT, RunCli
from tests.docs.pages import code, page
from tests.helpers.small_bench import SMALL_BENCH
from tests.helpers.small_table import small_table
from tests.results.older import FIRST

SCHEMA = json.loads((ROOT / "docs" / "result.schema.json").read_text())
DESCRIBED = jsonschema.Draft202012Validator(SCHEMA)


def test_a_fresh_result_is_described(fresh: dict[str, Any]) -> None:
    assert fresh["command"] is None  # run_bench was called from Python
    DESCRIBED.validate(fresh)


def test_the_file_that_bench_writes_is_described(run_cli: RunCli, tmp_path: Path) -> None:
    small_table(tmp_path / "shards", tier="host")
    out = tmp_path / "r.json"
    words = ("bench", tmp_path / "shards", "--case", "gather", *SMALL_BENCH, "-o", out)
    assert run_cli(*words).exit_code == 0
    document = json.loads(out.read_text())
    DESCRIBED.validate(document)
    assert document["command"] == ["engramctl", *map(str, words)]


def test_older_results_are_described_too(fresh: dict[str, Any]) -> None:
    DESCRIBED.validate(FIRST)
    later = ("created_utc", "command", "step_fit", "recipe")
    older = {name: fresh[name] for name in fresh if name not in later}
    DESCRIBED.validate(older)
    current = as_current(older)
    DESCRIBED.validate(current)
    assert current == {**older, **dict.fromkeys(later)}


def test_every_key_has_its_place_in_the_description(fresh: dict[str, Any]) -> None:
    """Strict: a key that is new, or gone, is not described."""
    for path in ("", "config", "environment", "cases.0", "cases.0.check"):
        for change in ("new", "gone"):
            document = copy.deepcopy(fresh)
            place: Any = document
            for name in filter(None, path.split(".")):
                place = place[int(name) if name.isdigit() else name]
            if change == "new":
                place["surprise"] = 1
            else:
                place.pop("cases" if path == "" else next(iter(place)))
            assert not DESCRIBED.is_valid(document), (path, change)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("samples_ns", [1.5]), ("samples_ns", []), ("status", "done"), ("p50_ns", None),
        ("reason", "why"), ("tier", "tape"), ("p99_ns", 7), ("rows", -1), ("against", {}),
    ],
)  # fmt: skip
def test_a_case_that_contradicts_itself_is_not_described(
    fresh: dict[str, Any], key: str, value: object
) -> None:
    document = copy.deepcopy(fresh)
    measured = next(case for case in document["cases"] if case["status"] == "ok")
    assert measured[key] != value
    measured[key] = value
    assert not DESCRIBED.is_valid(document)


@pytest.mark.parametrize("command", [[], ["engramctl"], ["python", "bench"], "engramctl bench"])
def test_a_command_begins_with_engramctl(fresh: dict[str, Any], command: object) -> None:
    assert not DESCRIBED.is_valid({**fresh, "command": command})


def test_the_page_explains_every_key_of_the_schema() -> None:
    shown = {name for row in page("result").rows() for name in code(row[0])}
    parts = SCHEMA["$defs"]
    assert shown == set(parts["second"]["properties"]) | set(parts["case"]["properties"])
    assert "result.schema.json" in page("result").links
