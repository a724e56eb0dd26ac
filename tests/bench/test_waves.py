"""Whole sequences of mixed lengths over a row cache: which rows it must hold."""

from pathlib import Path

import pytest

from engramctl.arms.sequences import spread_lengths
from engramctl.bench.run import run_bench
from engramctl.measured.folder import scheme_of
from engramctl.storage.cache.row_cache import cache_capacity
from engramctl.sweep.options import BenchOptions
from engramctl.tables.opened_rows import open_rows

BATCH, LENGTHS = 2, (2, 30)


@pytest.fixture
def just_enough(shards: Path) -> int:
    """Bytes of a row cache with room for the rows of a wave, and not for those of its padding."""
    table = open_rows(shards)
    scheme = scheme_of(shards, table.scheme)
    a_token = len(scheme.layers) * scheme.num_heads
    read = a_token * int(spread_lengths(BATCH, *LENGTHS).sum())
    record, rows = table.rows.record.record_bytes, sum(map(table.rows.num_rows, table.rows.layers))
    sizes = range(4096, 1 << 24, 4096)
    size = next(one for one in sizes if cache_capacity(one, record, rows) >= 1.2 * read)
    assert cache_capacity(size, record, rows) < 0.9 * a_token * BATCH * LENGTHS[1]
    return size


def test_a_wave_is_warm_without_the_rows_of_its_padding(shards: Path, just_enough: int) -> None:
    options = BenchOptions(
        tiers=("ssd",), cases=("step.sequences",), cache="warm", row_cache_bytes=just_enough,
        batch=BATCH, lengths=LENGTHS, sequences=10, preset="tiny", trace="uniform",
    )  # fmt: skip
    [case] = [
        one for one in run_bench(shards, options, lambda _: None)["cases"] if one["tier"] == "ssd"
    ]
    assert (case["status"], case["reason"]) == ("ok", None)
    assert case["saved"]["cache_misses"] == 0
