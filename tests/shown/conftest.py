import json
from typing import Any

import pytest

from engramctl.bench.run import run_bench
from engramctl.sweep.options import BenchOptions
from tests.helpers.small_table import small_table


@pytest.fixture(scope="session")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A result of every case, on every tier that is here, as its file has it."""
    path = small_table(tmp_path_factory.mktemp("results") / "shards", slots=600, tier="ssd").path
    options = BenchOptions(samples=3, tokens=4, context=3, preset="tiny")
    result: dict[str, Any] = json.loads(json.dumps(run_bench(path, options, lambda _: None)))
    return result
