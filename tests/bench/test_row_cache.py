"""A row cache under bench: cold, warm, or as the tokens before left it; and what it saved."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import numpy as np
import pytest

from engramctl.arms.arm import Arm
from engramctl.arms.lookups import GatherArm
from engramctl.arms.window import Window
from engramctl.bench.run import run_bench
from engramctl.bench.token_ids import READ_AGAIN
from engramctl.comparison.matched import match, measured_cases
from engramctl.errors import ConfigError, CorpusError, StorageError
from engramctl.results.document import as_current
from engramctl.results.earlier import Earlier
from engramctl.shown.tables import result_tables
from engramctl.storage.tiers.ssd import SsdStore
from engramctl.sweep.loops import total_rounds
from engramctl.sweep.options import BenchOptions
from tests.conftest import ROOT, RunCli
from tests.helpers.corpora import write_ids
from tests.helpers.mined_counts import run

SCHEMA = json.loads((ROOT / "docs" / "result.schema.json").read_text())
CACHE = 1 << 20
WORDS: dict[str, Any] = {
    "tiers": ("ssd",), "cases": ("gather",), "samples": 5, "tokens": 20, "preset": "tiny",
    "row_cache_bytes": CACHE,
}  # fmt: skip


def measured(shards: Path, **changed: Any) -> dict[str, Any]:
    document = run_bench(shards, BenchOptions(**WORDS | changed), lambda _: None)
    jsonschema.Draft202012Validator(SCHEMA).validate(json.loads(json.dumps(document)))
    return document


def text(folder: Path, tokens: int = 4000) -> str:
    """Random ids: what comes again was read before, and not by the text's own habit."""
    ids = np.random.default_rng(5).integers(0, 129_280, tokens).tolist()
    return str(write_ids(folder / "trace.parquet", [ids]))


def test_a_sample_finds_no_row_when_cold_and_every_row_when_warm(shards: Path) -> None:
    document = measured(shards)
    assert [case["cache"] for case in document["cases"]] == ["warm"] * 2 + ["cold"] * 2
    for case in document["cases"]:
        assert (case["status"], case["mode"], case["tokens_before"]) == ("ok", "direct", None)
        hits, misses = case["saved"]["cache_hits"], case["saved"]["cache_misses"]
        if case["cache"] == "warm":
            assert (hits, misses, case["device_reads"]) == (case["rows"], 0, 0)
            assert case["state"] == "warm"
        else:
            assert (hits, misses) == (0, case["rows"])
            assert case["device_reads"] > 0
        assert 0 < case["kept"]["cache_bytes"] <= CACHE
        assert case["kept"]["cache_rows"] > 0
    [table] = result_tables(document)
    assert [row["from cache"] for row in table.rows] == ["100 %", "100 %", "0 %", "0 %"]


def test_a_cache_too_small_for_a_sample_is_not_called_warm(shards: Path) -> None:
    decode, prefill = measured(shards, cache="warm", row_cache_bytes=8192)["cases"]
    assert (decode["status"], decode["saved"]["cache_misses"]) == ("ok", 0)
    assert prefill["status"] == "skipped"
    assert "does not keep the rows of a sample" in prefill["reason"]


def test_a_whole_wave_is_warm_and_not_its_beginning_alone(shards: Path) -> None:
    [case] = [
        one
        for one in measured(shards, cache="warm", cases=("step.sequences",), batch=2, sequences=10,
                            lengths=(2, 7))["cases"]
        if one["tier"] == "ssd"
    ]  # fmt: skip
    assert (case["status"], case["saved"]["cache_misses"]) == ("ok", 0)
    assert case["bytes_per_token"]["row_cache"] == case["useful_bytes"] / case["tokens"]


def test_after_traffic_rows_are_where_the_tokens_before_left_them(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dropped = []
    monkeypatch.setattr(SsdStore, "drop", lambda *words: dropped.append(words))
    document = measured(shards, cache="traffic", after=3000, trace=text(tmp_path))
    decode, prefill = document["cases"]
    assert [case["id"] for case in (decode, prefill)] == [
        "gather.decode.ssd.traffic.b1", "gather.prefill.ssd.traffic.b1.t20",
    ]  # fmt: skip
    assert (decode["state"], decode["state_reason"]) == ("traffic", None)
    # Two arms have warmed up by two tokens each when the first keeps a sample, or one has one more.
    assert decode["tokens_before"] in (3004, 3005)
    assert prefill["tokens_before"] in (3000 + 14 + 80, 3000 + 14 + 100)
    for case in (decode, prefill):
        assert case["saved"]["cache_hits"] + case["saved"]["cache_misses"] == case["rows"]
        assert case["ceiling_rows_per_s"] is None
        assert case["check"]["mismatches"] == 0
    assert prefill["saved"]["cache_hits"] > 0  # of a small table, most rows were read before
    assert dropped == []
    assert "tokens before: " in result_tables(document)[0].caption
    without = measured(shards, cache="traffic", trace=text(tmp_path))["cases"][0]
    assert without["tokens_before"] in (4, 5)
    assert without["saved"]["cache_hits"] < decode["saved"]["cache_hits"]


class Seen:
    """Every window that a store was asked for the rows of, in order."""

    def __init__(self) -> None:
        self.windows: list[tuple[list[int], list[int]]] = []
        self.most: int | None = None


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    found = Seen()
    honest = Arm.sample

    def sample(self: Arm, window: Window, *, keep: bool) -> None:
        if found.most is not None and len(found.windows) >= found.most:
            raise StorageError("the disk is gone")
        if self.tier == "ssd":
            ids = window.history_BC.ravel().tolist(), window.token_ids_BT.ravel().tolist()
            found.windows.append(ids)
        honest(self, window, keep=keep)

    monkeypatch.setattr(Arm, "sample", sample)
    return found


def test_no_two_arms_read_a_token_where_the_second_would_find_what_the_first_left(
    shards: Path, tmp_path: Path, seen: Seen
) -> None:
    words: dict[str, Any] = {
        "cases": ("step.decode",), "issues": ("start", "before"), "context": 3,
        "trace": str(write_ids(tmp_path / "trace.parquet", [list(range(2000))])),
    }  # fmt: skip
    document = measured(shards, cache="traffic", **words)
    read = [token for _, tokens in seen.windows for token in tokens]
    assert len(read) == len(set(read)) == 4 * 7  # two issues, the fetch, the copy; seven rounds
    assert {case["cache"] for case in document["cases"] if case["tier"] == "ssd"} == {"traffic"}
    assert {case["cache"] for case in document["cases"] if case["tier"] == "host"} == {"warm"}


def test_a_trace_that_begins_again_is_flagged(shards: Path, tmp_path: Path) -> None:
    cases = measured(shards, cache="traffic", trace=text(tmp_path, 60))["cases"]
    assert [case["flags"] for case in cases] == [[], [READ_AGAIN]]
    with pytest.raises(CorpusError, match="too short to be read before"):
        measured(shards, cache="traffic", trace=text(tmp_path, 60), after=60)


def test_a_run_that_goes_on_looks_up_what_the_earlier_one_had(
    shards: Path, tmp_path: Path, seen: Seen
) -> None:
    options = BenchOptions(**WORDS | {"cache": "traffic", "after": 500, "trace": text(tmp_path)})
    kept: list[dict[str, Any]] = []
    seen.most = 2 * 7 + 3  # in the second loop
    run_bench(shards, options, lambda _: None, keep=kept.append)
    seen.most, seen.windows = None, []
    begun = Earlier(json.loads(json.dumps(kept[0])), tmp_path / "r.json")
    resumed = run_bench(shards, options, lambda _: None, earlier=begun)
    windows, seen.windows = seen.windows, []
    whole = run_bench(shards, options, lambda _: None)
    assert windows == seen.windows[14:]
    for name in ("tokens_before", "saved"):
        assert resumed["cases"][1][name] == whole["cases"][1][name]


def test_the_row_cache_begins_with_the_rows_that_a_corpus_reads_most(
    shards: Path, tmp_path: Path
) -> None:
    trace = text(tmp_path)
    counts = tmp_path / "accesses"
    run("mine", trace, "--scheme", shards, "--orders", "2,3,4", "-o", counts)
    document = measured(shards, cache="traffic", warm=str(counts), trace=trace)
    assert document["config"]["warm"] == str(counts)
    assert len(document["config"]["warm_xxh3_128"]) == 32
    case = document["cases"][0]
    assert case["saved"]["cache_hits"] > 0.5 * case["rows"]  # all rows of the text, or nearly
    assert case["tokens_before"] in (4, 5)
    empty = measured(shards, cache="traffic", trace=trace)["cases"][0]
    assert empty["saved"]["cache_hits"] < 0.2 * case["rows"]
    with pytest.raises(ConfigError, match="leaves room for none"):
        measured(shards, cache="traffic", warm=str(counts), trace=trace, row_cache_bytes=None,
                 budget_bytes=8 << 20)  # fmt: skip


def test_each_chunk_before_is_a_round_of_progress(shards: Path, tmp_path: Path) -> None:
    options = BenchOptions(**WORDS | {"cache": "traffic", "after": 2049, "trace": text(tmp_path)})
    rounds: list[int] = []
    run_bench(shards, options, rounds.append)
    assert sum(rounds) == total_rounds(options) == 2 + 2 * 7


def test_states_keep_cases_of_two_results_apart(shards: Path) -> None:
    words: dict[str, Any] = {"cases": ("gather.decode",), "trace": "zipf"}
    old, new = (as_current(measured(shards, cache=cache, **words)) for cache in ("cold", "traffic"))
    assert old is not None
    assert new is not None
    found = match(measured_cases(old), measured_cases(new))
    assert found.pairs == []
    assert [one["case"] for one in found.alone] == [
        "gather.decode.ssd.cold.b1", "gather.decode.ssd.traffic.b1",
    ]  # fmt: skip


def test_keys_of_ngrams_go_with_the_rows_where_a_store_has_a_use_for_them(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SsdStore, "uses_keys", property(lambda self: True))
    asked: list[Any] = []
    honest = SsdStore.prefetch

    def prefetch(self: SsdStore, requests: Any, keys: Any = None) -> Any:
        asked.append((next(iter(requests.values())).shape, keys))
        return honest(self, requests, keys)

    monkeypatch.setattr(SsdStore, "prefetch", prefetch)
    measured(shards, cache="cold", cases=("gather", "lookup", "step"), context=3, row_cache_bytes=0,
             budget_bytes=8 << 20, issues=("start", "before", "layer"))  # fmt: skip
    assert asked
    for shape, keys in asked:
        assert keys.dtype == np.uint64
        assert keys.shape == (*shape[:2], 3, 2)


def test_without_a_use_for_keys_none_are_hashed(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared: list[Any] = []
    honest = GatherArm.prepare

    def prepare(self: GatherArm, window: Window) -> None:
        honest(self, window)
        prepared.append(self._ids.ngram_keys)

    monkeypatch.setattr(GatherArm, "prepare", prepare)
    measured(shards, cache="cold")
    assert prepared
    assert set(prepared) == {None}


def test_the_command_line_takes_sizes_folders_and_tokens(
    shards: Path, run_cli: RunCli, tmp_path: Path
) -> None:
    words = ("bench", shards, "--tier", "ssd", "--case", "gather", "--samples", "5", "--tokens", 20)
    after = ("--cache", "traffic", "--after", "1k", "--trace", text(tmp_path))
    found = run_cli(*words, "--row-cache", "1MiB", *after, "--json")
    assert found.exit_code == 0, found.stderr
    config = found.json["config"]
    assert (config["row_cache_bytes"], config["budget_bytes"]) == (CACHE, None)
    assert (config["after"], config["warm"], config["warm_xxh3_128"]) == (1000, None, None)
    listed = run_cli(*words, "--row-cache", "1MiB", *after, "--list", "--json").json["cases"]
    assert [case["id"] for case in listed] == [case["id"] for case in found.json["cases"]]
    planned = run_cli(*words, "--row-cache", "1MiB", *after, "--dry-run", "--json").json["cases"]
    assert {case["memory_bytes"] for case in planned} == {CACHE + (64 << 20)}


def test_ngrams_that_a_record_serves_are_counted_and_shown(shards: Path, tmp_path: Path) -> None:
    trace, counts, known = text(tmp_path), tmp_path / "counts", tmp_path / "known"
    run("mine", trace, "--orders", "2,3,4", "-o", counts)
    run("layout", shards, "--dictionary", counts, "--dictionary-budget", "4MiB", "--tier", "ssd",
        "-o", known)  # fmt: skip
    document = measured(known, cache="cold", cases=("gather.decode",), trace=trace)
    [case] = document["cases"]
    assert 0 < case["saved"]["dictionary_hits"] <= 3
    assert case["saved"]["record_reads"] > 0
    assert case["kept"]["index_bytes"] > 0
    assert (case["saved"]["log_hits"], case["saved"]["log_bytes_written"]) == (0, 0)
    assert result_tables(document)[0].rows[0]["from records"] in (1, 2, 3)


@pytest.mark.parametrize(
    "other", [("--row-cache", "2MiB"), ("--after", "20"), ("--row-cache", "1MiB", "--budget", "1G")]
)
def test_a_run_does_not_go_on_from_one_of_another_memory(
    shards: Path, run_cli: RunCli, tmp_path: Path, other: tuple[str, ...]
) -> None:
    out = tmp_path / "r.json"
    words = ("bench", shards, "--tier", "ssd", "--case", "gather.decode", "--samples", "5", "-o",
             out, "--cache", "traffic", "--trace", text(tmp_path))  # fmt: skip
    assert run_cli(*words, "--row-cache", "1MiB").exit_code == 0
    again = other if "--row-cache" in other else ("--row-cache", "1MiB", *other)
    refused = run_cli(*words, *again, "--resume")
    assert refused.exit_code == 2
    assert "is of another run" in refused.stderr
