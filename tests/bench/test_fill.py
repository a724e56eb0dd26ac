"""A dictionary that a run of bench fills: what it saves, what is said of it, what is refused."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from engramctl.arms.arm import Arm
from engramctl.bench.run import run_bench
from engramctl.comparison.differences import differences
from engramctl.errors import ConfigError, FormatError, StorageError
from engramctl.shown.tables import result_tables
from engramctl.storage.record_log.record_log import RecordLog
from engramctl.sweep.options import BenchOptions
from tests.checkpoints import make
from tests.conftest import ROOT, RunCli
from tests.helpers.corpora import write_ids
from tests.helpers.small_table import small_table

SCHEMA = json.loads((ROOT / "docs" / "result.schema.json").read_text())
WORDS: dict[str, Any] = {
    "tiers": ("ssd",), "cases": ("gather.decode",), "samples": 20, "tokens": 20, "preset": "tiny",
    "cache": "traffic", "budget_bytes": 8 << 20, "row_cache_bytes": 0, "after": 3000,
    "fill_size_bytes": 4 << 20, "write_budget_bytes": 20_000,
}  # fmt: skip


def measured(shards: Path, fill: Path, **changed: Any) -> dict[str, Any]:
    options = BenchOptions(**WORDS | {"fill": str(fill)} | changed)
    document = run_bench(shards, options, lambda _: None)
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(json.dumps(document)))
    return document


@pytest.fixture(scope="module")
def trace(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Few ids, so that n-grams come again."""
    ids = np.random.default_rng(3).integers(0, 30, 4000).tolist()
    return str(write_ids(tmp_path_factory.mktemp("ids") / "trace.parquet", [ids]))


def test_ngrams_that_come_again_are_recorded_and_served(
    shards: Path, tmp_path: Path, trace: str
) -> None:
    log = tmp_path / "records.log"
    document = measured(shards, log, trace=trace)
    [case] = document["cases"]
    assert case["saved"]["log_hits"] > 0
    assert case["kept"]["log_entries"] > 100
    assert case["check"]["mismatches"] == 0
    config = document["config"]
    assert (config["fill"], config["fill_entries"]) == (str(log), 0)
    assert (config["fill_size_bytes"], config["write_budget_bytes"]) == (4 << 20, 20_000)
    assert not any("before this run" in one for one in document["warnings"])
    [table] = result_tables(document)
    assert "logged/token" in table.rows[0]
    assert "dictionary that traffic fills" in table.caption


def test_a_dictionary_of_an_earlier_run_is_told_of(
    shards: Path, tmp_path: Path, trace: str
) -> None:
    log = tmp_path / "records.log"
    first = measured(shards, log, trace=trace)
    again = measured(shards, log, trace=trace, after=0)
    entries = again["config"]["fill_entries"]
    assert entries >= first["cases"][0]["kept"]["log_entries"]
    [told] = [one for one in again["warnings"] if "before this run" in one]
    assert f"{log} had {entries:,} n-grams" in told
    assert "fill-entries" in {one.name for one in differences(first, again) if one.hinders}


def test_tokens_before_the_samples_are_recorded_though_they_are_many(
    shards: Path, tmp_path: Path, trace: str
) -> None:
    words = {"trace": trace, "budget_bytes": 6 << 20}  # for the pages of fewer than 2,048 tokens
    document = measured(shards, tmp_path / "records.log", **words)
    assert document["cases"][0]["kept"]["log_entries"] > 100


def test_what_a_run_writes_stays_within_its_budget(
    shards: Path, tmp_path: Path, trace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[int] = []
    honest = RecordLog.close

    def close(self: RecordLog) -> None:
        honest(self)
        closed.append(self.bytes_written)

    monkeypatch.setattr(RecordLog, "close", close)
    document = measured(shards, tmp_path / "a.log", trace=trace, write_budget_bytes=40)
    tokens = document["cases"][0]["tokens_before"] + 2 * 30
    assert 0 < closed[-1] <= 40 * tokens + 4096  # and the header of the file


def test_without_one_nothing_is_said_of_it(shards: Path, trace: str) -> None:
    words = WORDS | {"fill_size_bytes": None, "write_budget_bytes": None, "trace": trace}
    document = run_bench(
        shards, BenchOptions(**words | {"row_cache_bytes": 1 << 20}), lambda _: None
    )
    names = ("fill", "fill_size_bytes", "write_budget_bytes", "fill_entries")
    assert {document["config"][name] for name in names} == {None}
    assert "logged/token" not in result_tables(document)[0].caption


@pytest.fixture
def never_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    def sample(*_: object, **__: object) -> None:
        raise AssertionError("something was measured")

    monkeypatch.setattr(Arm, "sample", sample)


@pytest.mark.usefixtures("never_sampled")
def test_what_cannot_be_filled_is_refused_before_anything_is_measured(
    shards: Path, tmp_path: Path, trace: str
) -> None:
    log = tmp_path / "records.log"
    other = small_table(tmp_path / "other", slots=300, tier="ssd").path
    with (
        RecordLog.open(
            log,
            table_xxh3_128="0" * 32,
            record_bytes=64,
            num_orders=3,
            key_bits=60,
            size_bytes=1 << 20,
        ),
        pytest.raises(StorageError, match="another process has the n-gram log"),
    ):
        measured(shards, log, trace=trace)
    with pytest.raises(FormatError, match="of another table"):
        measured(other, log, trace=trace)
    before = (shards / "manifest.json").read_bytes()
    with pytest.raises(FormatError, match="is no n-gram log") as error:
        measured(shards, shards / "manifest.json", trace=trace)
    assert "delete" not in (error.value.hint or "")
    assert (shards / "manifest.json").read_bytes() == before
    with pytest.raises(StorageError, match="Is a directory"):
        measured(shards, tmp_path, trace=trace)
    (tmp_path / "model").mkdir()
    make.deepseek_v41(tmp_path / "model")
    with pytest.raises(ConfigError, match="a checkpoint has no checksums") as refused:
        measured(tmp_path / "model", log, trace="zipf")
    assert "engramctl layout" in (refused.value.hint or "")


def test_a_dictionary_that_stops_is_told_of(
    shards: Path, tmp_path: Path, trace: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    honest = RecordLog.append

    def append(self: RecordLog, *words: Any) -> int:
        self.stopped = "cannot write it: No space left on device"
        return honest(self, *words)

    monkeypatch.setattr(RecordLog, "append", append)
    document = measured(shards, tmp_path / "records.log", trace=trace)
    assert (
        "--fill takes no n-grams any more: cannot write it: No space left on device"
        in document["warnings"]
    )


def test_the_command_line_fills_a_file_and_says_what_it_is(
    shards: Path, run_cli: RunCli, tmp_path: Path, trace: str
) -> None:
    log = tmp_path / "records.log"
    words = ("bench", shards, "--case", "gather.decode", "--samples", "5", "--trace", trace)
    budget = ("--budget", "8MiB", "--row-cache", "8KiB", "--cache", "traffic", "--after", "3k")
    filling = ("--fill", log, "--fill-size", "4MiB", "--write-budget", "20kB")
    found = run_cli(*words, *budget, *filling, "--json")
    assert found.exit_code == 0, found.stderr
    assert found.json["config"]["write_budget_bytes"] == 20_000
    shown = run_cli("inspect", log, "--json").json
    assert shown["kind"] == "n-gram log"
    assert shown["table_xxh3_128"] == found.json["config"]["table_xxh3_128"]
    assert shown["records"] >= found.json["cases"][0]["kept"]["log_entries"] > 0
    checked = run_cli("verify", log, "--json").json
    assert (checked["ok"], checked["checksums"]) == (True, shown["records"])
    refused = run_cli(*words, *budget, *filling, "--tier", "host")
    assert (refused.exit_code, "ssd tier alone" in refused.stderr) == (2, True)
