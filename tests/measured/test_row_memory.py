"""Row caches count as memory before one of them is opened."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engramctl.arms.subject import opened_store
from engramctl.bench.run import run_bench
from engramctl.errors import StorageError
from engramctl.measured import model as measured_model
from engramctl.measured import opened
from engramctl.measured.row_memory import cache_bytes, refuse_rows
from engramctl.storage.tiers.door import READING_BYTES
from engramctl.sweep.options import BenchOptions
from engramctl.tables.opened_rows import open_rows
from tests.helpers.small_table import small_table

MIB = 1 << 20
FIRST, SECOND = "host:16KiB,ssd", "host:32KiB,ssd"
WORDS: dict[str, Any] = {
    "cases": ("gather.decode",), "cache": "warm", "samples": 5, "preset": "tiny", "threads": 1,
    "trace": "zipf",
}  # fmt: skip


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_table(tmp_path_factory.mktemp("rows") / "shards", slots=600, tier="ssd").path


@pytest.fixture
def opens(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Tiers that were opened."""
    found: list[str] = []

    def noted(table: Any, tier: str, *others: Any) -> Any:
        found.append(tier)
        return opened_store(table, tier, *others)

    monkeypatch.setattr(opened, "opened_store", noted)
    return found


def free(monkeypatch: pytest.MonkeyPatch, *sizes: int) -> None:
    """Have so many bytes free: when asked first, second, .., and the last from then on."""
    left: Iterator[int] = iter(sizes[:-1])
    monkeypatch.setattr(measured_model, "available_bytes", lambda: next(left, sizes[-1]))


def measured(shards: Path, *tiers: str, **words: Any) -> list[dict[str, Any]]:
    options = BenchOptions(**WORDS | {"tiers": tiers, "named": True} | words)
    found: list[dict[str, Any]] = run_bench(shards, options, lambda _: None)["cases"]
    return found


@pytest.mark.parametrize("sweep", [{}, {"preset": ("tiny", "small")}])
def test_row_caches_that_do_not_fit_together_are_refused_before_one_is_opened(
    shards: Path, monkeypatch: pytest.MonkeyPatch, opens: list[str], sweep: dict[str, Any]
) -> None:
    free(monkeypatch, 100 * MIB)
    with pytest.raises(StorageError, match="do not fit in memory together") as caught:
        measured(shards, FIRST, SECOND, "ssd", sweep=sweep)
    assert list(caught.value.facts) == [FIRST, SECOND, "together", "free"]
    assert caught.value.facts["free"] == "100 MiB"
    assert "--row-cache" in str(caught.value.hint)
    assert opens == []
    [case] = measured(shards, FIRST)
    assert case["status"] == "ok"


def test_a_row_cache_that_does_not_fit_alone_is_skipped_with_the_arithmetic(
    shards: Path, monkeypatch: pytest.MonkeyPatch, opens: list[str]
) -> None:
    free(monkeypatch, 60 * MIB)
    first, second = measured(shards, FIRST, "ssd")
    assert (first["status"], second["status"]) == ("skipped", "ok")
    for words in (f"the memory of {FIRST} does not fit", "64.0 MiB", "60.0 MiB are free"):
        assert words in first["reason"]
    assert opens == ["ssd"]


def test_what_a_run_holds_already_is_not_counted_again(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    free(monkeypatch, 1 << 30, 0)
    [case] = measured(shards, FIRST, cases=("lookup.decode",))
    assert case["status"] == "ok"


def test_models_count_the_row_caches_beside_them(
    shards: Path, monkeypatch: pytest.MonkeyPatch, opens: list[str]
) -> None:
    free(monkeypatch, READING_BYTES + MIB)
    with pytest.raises(StorageError, match="a model of small does not fit") as caught:
        measured(shards, FIRST, cases=("lookup.decode",), preset="small")
    assert str(caught.value.facts["row caches"]).startswith("64.0 MiB")
    assert opens == []


def test_a_row_cache_takes_no_more_than_all_rows_make_it(shards: Path) -> None:
    table = open_rows(shards).rows
    every = sum(map(table.num_rows, table.layers)) * table.record.record_bytes
    options = BenchOptions(tiers=("ssd", "host:1TiB,ssd"))
    large = cache_bytes(options, "host:1TiB,ssd", table)
    assert every < large["host"] - READING_BYTES < 3 * every
    assert large["gpu"] == 0
    assert cache_bytes(options, FIRST, table) == {"gpu": 0, "host": (16 << 10) + READING_BYTES}
    assert cache_bytes(options, "gpu:1TiB,host", table) == {"gpu": every, "host": 0}
    assert cache_bytes(options, "ssd", table) == {"gpu": 0, "host": 0}
    given = BenchOptions(tiers=("ssd",), budget_bytes=80 * MIB, row_cache_bytes=16 << 10)
    assert cache_bytes(given, "ssd", table)["host"] == 80 * MIB


def test_whole_tables_in_memory_count_too(shards: Path) -> None:
    table = open_rows(shards).rows
    every = sum(map(table.num_rows, table.layers)) * table.record.record_bytes
    options, most = BenchOptions(), (16 << 10) + READING_BYTES + every
    refuse_rows(options, ("host", FIRST), table, most)
    with pytest.raises(StorageError, match="do not fit in memory together"):
        refuse_rows(options, ("host", FIRST), table, most - 1)
