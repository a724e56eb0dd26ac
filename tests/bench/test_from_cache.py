"""Which share of its rows a sample finds in a row cache: of every tier in one unit."""

from pathlib import Path
from typing import Any

import numpy as np

from engramctl.bench.run import run_bench
from engramctl.results.document import as_current
from engramctl.shown.tables import result_tables
from engramctl.sweep.options import BenchOptions
from tests.helpers.corpora import write_ids

CACHE = 256 << 10


def measured(shards: Path, folder: Path, **words: Any) -> dict[str, Any]:
    """Measure prompts in which one token comes again and again, and others hardly ever."""
    random = np.random.default_rng(5)
    ids = np.where(random.random(4000) < 0.7, 7, random.integers(0, 3000, 4000)).tolist()
    options = BenchOptions(
        cases=("gather.prefill",), cache="traffic", samples=5, tokens=60, after=300,
        trace=str(write_ids(folder / "trace.parquet", [ids])), **words,
    )  # fmt: skip
    return run_bench(shards, options, lambda _: None)


def test_a_row_cache_and_a_mixture_of_its_size_say_the_same_share(
    shards: Path, tmp_path: Path
) -> None:
    alone = measured(shards, tmp_path, tiers=("ssd",), row_cache_bytes=CACHE)
    mixed = measured(shards, tmp_path, tiers=(f"host:{CACHE},ssd",))
    [ours], [theirs] = alone["cases"], mixed["cases"]
    assert ours["saved"] == theirs["saved"]
    missed = ours["saved"]["cache_rows_missed"]
    assert missed == theirs["rows_by_tier"]["ssd"]
    assert 0 < missed < ours["unique_rows"] < ours["rows"]
    hits = ours["saved"]["cache_hits"] / ours["rows"]
    assert hits > 1.1 * (1 - missed / ours["unique_rows"])  # repeated rows are found more often
    [row] = result_tables(alone)[0].rows
    [other] = result_tables(mixed)[0].rows
    assert str(other["from cache"]).split(" ssd ")[0] == f"host {row['from cache']}"


def test_a_result_that_counted_repeated_rows_alone_shows_no_share(
    shards: Path, tmp_path: Path
) -> None:
    document = measured(shards, tmp_path, tiers=("ssd",), row_cache_bytes=CACHE)
    del document["cases"][0]["saved"]["cache_rows_missed"]
    older = as_current(document)
    assert older is not None
    assert older["cases"][0]["saved"]["cache_rows_missed"] is None
    assert [row.get("from cache") for row in result_tables(older)[0].rows] == [None]
