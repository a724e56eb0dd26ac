"""Ten runs of one build, recorded on a machine of 2 cores that was shared by seven others.

`recorded.json` has of each its warm decode gathers and lookups, in microseconds: what bench wrote,
rounded. Lookups took up to twice as long in one run as in another.
"""

import copy
import json
from pathlib import Path
from typing import Any

from engramctl.results.document import Case
from tests.comparison.noisy import as_result


def recorded_results() -> list[Any]:
    """Return the runs, in the order they were made."""
    runs = json.loads((Path(__file__).parent / "recorded.json").read_text())
    return [copy.deepcopy(_result(run)) for run in runs]


def _result(run: dict[str, Any]) -> Any:
    cases = [
        Case(one["name"], "decode", one["tier"], "warm", "warm", id=one["id"], axes={"batch": 1},
             resolution_percent=one["resolution_percent"],
             samples_ns=[round(1000 * us) for us in one["samples_us"]],
             copy_samples_ns=[round(1000 * us) for us in one["copy_samples_us"]])
        for one in run["cases"]
    ]  # fmt: skip
    return as_result(cases, run["memory_lines_per_s"])
