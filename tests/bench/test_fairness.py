"""Arms of a loop differ in what is measured, and in nothing else."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engramctl.arms.subject import Subject
from engramctl.bench.run import run_bench
from engramctl.results.resolution import resolution_percent
from engramctl.storage.tiers.tier_list import TIERS
from engramctl.sweep.loops import total_rounds
from engramctl.sweep.options import BenchOptions


def test_every_loop_has_its_own_resolution_from_two_copies_of_its_slowest_arm(
    shards: Path,
) -> None:
    options = BenchOptions(tiers=("ssd", "host"), samples=5, tokens=5, context=3, preset="tiny")
    document = run_bench(shards, options, lambda _: None)
    loops: dict[tuple[str, str, str], list[dict[str, Any]]] = {}
    for case in document["cases"]:
        if case["status"] != "ok":  # cold ones, where the file system keeps its pages
            continue
        loops.setdefault((case["name"], case["phase"], case["loop"]), []).append(case)
    assert {(name, phase) for name, phase, _ in loops} == {
        (name, phase) for name in ("gather", "lookup", "step") for phase in ("decode", "prefill")
    }
    for found in loops.values():
        [copied] = [case for case in found if case["copy_samples_ns"]]
        order = ("none", "ready", *TIERS)
        assert copied["tier"] == max((case["tier"] for case in found), key=order.index)
        assert len(copied["copy_samples_ns"]) == len(copied["samples_ns"])
        bound = resolution_percent(copied["samples_ns"], copied["copy_samples_ns"])
        assert bound is not None
        assert bound > 0
        assert [case["resolution_percent"] for case in found] == [bound] * len(found)
    assert len({found[0]["resolution_percent"] for found in loops.values()}) == len(loops)


def test_the_second_copy_reads_other_rows(shards: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one copy has read is near for the next, in caches of processor and disk."""
    read: list[bytes] = []
    prepare = Subject.prepare

    def noted(self: Subject, row_ids: Any) -> None:
        read.append(b"".join(np.asarray(ids).tobytes() for ids in row_ids.values()))
        prepare(self, row_ids)

    monkeypatch.setattr(Subject, "prepare", noted)
    options = BenchOptions(tiers=("host",), cases=("gather",), samples=5, tokens=2)
    run_bench(shards, options, lambda _: None)
    assert len(read) == 2 * total_rounds(options)
    assert len(set(read)) == len(read)


def test_the_model_without_memory_does_the_untimed_work_of_one_with_it(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: Counter[str] = Counter()
    for name in ("prepare", "settle", "check"):
        honest = getattr(Subject, name)

        def counted(self: Subject, *words: Any, name: str = name, honest: Any = honest) -> None:
            calls[name] += 1
            honest(self, *words)

        monkeypatch.setattr(Subject, name, counted)
    options = BenchOptions(
        tiers=("host",), cases=("step",), samples=5, tokens=2, context=3, preset="tiny"
    )
    result = run_bench(shards, options, lambda _: None)
    none_ready_host_its_fetch_and_copy = 5 * total_rounds(options)
    assert calls == dict.fromkeys(
        ("prepare", "settle", "check"), none_ready_host_its_fetch_and_copy
    )
    assert all(case["check"]["mismatches"] == 0 for case in result["cases"])
    assert {case["rows"] for case in result["cases"] if case["tier"] == "none"} == {0}
