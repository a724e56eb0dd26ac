import json
from pathlib import Path
from typing import Any

import pytest

from engramctl.bench.run import run_bench
from engramctl.report.contents import Contents, contents_of
from engramctl.report.sources import read_sources
from engramctl.sweep.options import BenchOptions
from tests.helpers.corpora import write_ids
from tests.helpers.mined_counts import run, small_scheme
from tests.helpers.small_table import small_table

DOCUMENTS = [[(7 * n + n * n // 3 + place) % 40 for n in range(90)] for place in range(40)]


@pytest.fixture(scope="session")
def result_document(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """A result of gathers and steps on host and ssd, as its file has it."""
    path = small_table(tmp_path_factory.mktemp("table") / "shards", slots=600, tier="ssd").path
    options = BenchOptions(
        tiers=("host", "ssd"), cases=("gather", "step"), samples=100, tokens=4, context=3,
        preset="tiny", cache="warm",
    )  # fmt: skip
    document: dict[str, Any] = json.loads(json.dumps(run_bench(path, options, lambda _: None)))
    return document


@pytest.fixture(scope="session")
def sources(
    tmp_path_factory: pytest.TempPathFactory, result_document: dict[str, Any]
) -> list[Path]:
    """A result, and counts with accesses and curves."""
    folder = tmp_path_factory.mktemp("sources")
    (folder / "host.json").write_text(json.dumps(result_document))
    scheme = small_scheme("deepseek-v41", 40, mapped=False, eos_id=0, slots=200)
    (folder / "scheme.json").write_text(json.dumps(scheme.to_dict()))
    corpus = write_ids(folder / "corpus.parquet", DOCUMENTS)
    counts = folder / "counts"
    run("mine", corpus, "-o", counts, "--scheme", folder / "scheme.json", "--curves")
    return [folder / "host.json", counts]


@pytest.fixture(scope="session")
def contents(sources: list[Path]) -> Contents:
    return contents_of(read_sources(sources))
