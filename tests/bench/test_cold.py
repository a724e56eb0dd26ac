"""Cold and warm are measured and proved, on a file system that lets go of its pages."""

import ctypes
import mmap
import os
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engramctl.arms import subject
from engramctl.arms.subject import Subject, Unmeasurable
from engramctl.bench.run import run_bench
from engramctl.errors import EngramError
from engramctl.machine import ceilings
from engramctl.measured.folder import scheme_of
from engramctl.shown.tables import result_tables
from engramctl.storage import open_store
from engramctl.storage.reading.table import open_table
from engramctl.storage.tiers.ssd import SsdStore
from engramctl.sweep.options import BenchOptions
from tests.conftest import ROOT
from tests.helpers.small_table import small_table


def resident_pages(file: Path) -> int:
    """Ask the kernel how many pages of a file are in memory."""
    size = file.stat().st_size
    with file.open("rb") as opened, mmap.mmap(
        opened.fileno(), size, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE
    ) as mapped:  # fmt: skip
        states = (ctypes.c_ubyte * -(-size // mmap.PAGESIZE))()
        start = ctypes.c_char.from_buffer(mapped)
        libc = ctypes.CDLL(None, use_errno=True)
        failed = libc.mincore(
            ctypes.c_void_p(ctypes.addressof(start)), ctypes.c_size_t(size), states
        )
        del start
    assert failed == 0
    return sum(state & 1 for state in states)


def lets_go_of_pages(folder: Path) -> bool:
    file = folder / "probe"
    file.write_bytes(os.urandom(1 << 20))
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
        os.posix_fadvise(opened.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return resident_pages(file) == 0


@pytest.fixture(scope="module")
def shards_on_disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A table where it can be cold: not on tmpfs."""
    for place in (tmp_path_factory.mktemp("cold"), Path("/var/tmp"), ROOT):
        with tempfile.TemporaryDirectory(dir=place, prefix=".engramctl-cold-") as folder:
            if lets_go_of_pages(Path(folder)):
                yield small_table(Path(folder) / "shards", slots=600, tier="ssd").path
                return
    pytest.skip("no file system here lets go of clean pages")


def test_cold_cases_are_measured_and_every_sample_comes_from_the_disk(
    shards_on_disk: Path,
) -> None:
    options = BenchOptions(
        tiers=("ssd",), cache="cold", samples=3, tokens=5, context=3, preset="tiny"
    )
    found = [
        case for case in run_bench(shards_on_disk, options, lambda _: None)["cases"]
        if case["tier"] == "ssd"
    ]  # fmt: skip
    assert [(case["name"], case["phase"]) for case in found] == [
        (name, phase) for name in ("gather", "lookup", "step") for phase in ("decode", "prefill")
    ]
    for case in found:
        assert (case["cache"], case["status"], case["reason"]) == ("cold", "ok", None)
        assert (case["mode"], case["engine"], case["fallback"]) == ("mapped", "willneed", None)
        assert case["state"] == "cold" or "dropped is read in" in case["state_reason"]
        assert len(case["samples_ns"]) == len(case["copy_samples_ns"]) >= 5
        assert case["resident_percent"]["before"] <= 1.0
        assert case["resident_percent"]["after"] == 100.0
        assert case["device_reads"] > 0


def test_a_page_cache_that_keeps_its_pages_is_not_called_cold(
    shards_on_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(SsdStore, "drop", lambda self, rows=None: None)
    options = BenchOptions(
        tiers=("ssd",), cases=("gather",), cache="cold", samples=3, tokens=2, preset="tiny"
    )
    for file in shards_on_disk.glob("*.safetensors"):
        file.read_bytes()  # now in the page cache
    kept: list[Any] = []
    with pytest.raises(EngramError, match=r"no case could be measured.*after they were dropped"):
        run_bench(shards_on_disk, options, lambda _: None, keep=kept.append)
    assert not kept
    both = run_bench(shards_on_disk, replace(options, cache="both"), lambda _: None)
    for case in both["cases"]:
        assert case["status"] == ("skipped" if case["cache"] == "cold" else "ok")
        assert ("stay in memory after they were dropped" in str(case["reason"])) == (
            case["cache"] == "cold"
        )


def test_pages_that_go_only_with_all_others_are_cold_all_the_same(
    shards_on_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kernel that keeps several pages as one piece lets go of none of them alone."""
    honest = SsdStore.drop
    monkeypatch.setattr(
        SsdStore, "drop", lambda self, rows=None: honest(self) if rows is None else None
    )
    options = BenchOptions(
        tiers=("ssd",), cases=("gather.prefill",), cache="cold", samples=3, tokens=20
    )
    [case] = run_bench(shards_on_disk, options, lambda _: None)["cases"]
    assert (case["status"], case["reason"]) == ("ok", None)
    assert case["resident_percent"]["before"] <= 1.0


def test_evicted_pages_are_not_called_warm(shards_on_disk: Path) -> None:
    scheme = scheme_of(shards_on_disk, open_table(shards_on_disk).manifest.scheme)
    with open_store(shards_on_disk, "ssd") as store:
        assert isinstance(store, SsdStore)
        one = Subject(store, scheme, "warm")
        ids = {layer: np.arange(50) for layer in store.layers}
        one.prepare(ids)
        store.drop()
        with pytest.raises(Unmeasurable, match="stay in memory"):
            one.prepare(ids)


def test_gathers_are_held_against_what_disk_and_memory_can_give(
    shards_on_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = BenchOptions(tiers=("ssd",), cases=("gather",), samples=5, tokens=2, preset="tiny")
    small = run_bench(shards_on_disk, options, lambda _: None)
    assert "says nothing of the disk" in small["ceilings"]["disk"]["reason"]
    assert {case["ceiling_rows_per_s"] is None for case in small["cases"]} == {True, False}

    rate = {"engine": "pread", "direct": True, "depth": 64, "reads_per_s": 5000.0}
    monkeypatch.setattr(ceilings, "probe_disk", lambda *_: {"random": [rate], "step_us": {}})
    monkeypatch.setattr(ceilings, "random_lines_per_s", lambda *_: 7.7e6)
    result = run_bench(shards_on_disk, options, lambda _: None)
    record_bytes = open_table(shards_on_disk).record.record_bytes
    for case in result["cases"]:
        if case["cache"] == "warm":
            assert case["ceiling_rows_per_s"] == pytest.approx(
                7.7e6 / (1 + (record_bytes - 1) / 64)
            )
        else:
            pages = case["asked_bytes"] / 4096
            assert case["ceiling_rows_per_s"] == pytest.approx(5000.0 * case["rows"] / pages)
    shown = [row["of ceiling"] for row in result_tables(result)[0].rows]
    assert all(str(one).endswith(" %") for one in shown)


def test_with_a_budget_rows_are_read_past_the_page_cache(shards_on_disk: Path) -> None:
    options = BenchOptions(
        tiers=("ssd",), cases=("gather",), samples=5, tokens=20, preset="tiny",
        budget_bytes=1 << 20, engine="pread",
    )  # fmt: skip
    warm: list[dict[str, Any]] = []
    cold: list[dict[str, Any]] = []
    for case in run_bench(shards_on_disk, options, lambda _: None)["cases"]:
        (cold if case["cache"] == "cold" else warm).append(case)
    for case in warm:
        assert case["status"] == "skipped"
        assert "none is warm" in case["reason"]
    for case in cold:
        assert (case["status"], case["mode"], case["engine"]) == ("ok", "direct", "pread")
        assert case["check"]["mismatches"] == 0
        assert case["device_reads"] > 0
        assert case["asked_bytes"] >= 4096
        assert 0 < case["unique_rows"] <= case["rows"]
        assert 1 <= case["queue_depth"] <= 64
        assert case["resident_percent"] == {"before": None, "after": None}
    assert cold


def test_a_state_that_nobody_can_know_is_unproved(
    shards_on_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(subject, "cannot_be_known", lambda path: "nobody knows")
    options = BenchOptions(tiers=("ssd",), cases=("gather",), samples=5, tokens=2, preset="tiny")
    result = run_bench(shards_on_disk, options, lambda _: None)
    for case in result["cases"]:
        assert (case["status"], case["state"]) == ("ok", "unproved")
        assert case["state_reason"] == "nobody knows"
    table = result_tables(result)[0]
    assert {row["cache"] for row in table.rows} == {"unproved"}
    assert "unproved: nobody knows" in table.caption
    monkeypatch.setattr(subject, "cannot_be_known", lambda path: None)
    monkeypatch.setattr(subject, "not_slower_when_dropped", lambda path, past_cache: "a VM has it")
    states = {case["cache"]: case["state"] for case in run_bench(
        shards_on_disk, options, lambda _: None)["cases"]}  # fmt: skip
    assert states == {"warm": "warm", "cold": "unproved"}


def test_the_witness_reads_as_its_tier_does(
    shards_on_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Pages that an ssd store beside it has mapped say nothing of reads past the page cache."""
    ways: list[bool] = []

    def witness(path: Path, *, past_cache: bool) -> None:
        ways.append(past_cache)

    monkeypatch.setattr(subject, "not_slower_when_dropped", witness)
    options = BenchOptions(
        tiers=("host:1MiB,ssd", "ssd"), cases=("gather",), samples=5, tokens=2, preset="tiny"
    )
    run_bench(shards_on_disk, options, lambda _: None)
    assert ways[:2] == [True, False]
