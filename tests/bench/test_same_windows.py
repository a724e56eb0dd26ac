"""What a loop reads of the trace hangs on the plan alone, on nothing that became of other loops."""

import json
from pathlib import Path
from typing import Any

import pytest

from engramctl.arms.arm import Arm
from engramctl.arms.lookups import GatherArm
from engramctl.arms.window import Window
from engramctl.bench.loop_arms import num_lists
from engramctl.bench.run import run_bench
from engramctl.errors import StorageError
from engramctl.results.earlier import Earlier
from engramctl.sweep.loops import plan_loops
from engramctl.sweep.options import BenchOptions

TINY = "host:8KiB,ssd"
WORDS: dict[str, Any] = {
    "tiers": (TINY,), "cases": ("gather", "lookup.decode"), "cache": "warm", "samples": 5,
    "tokens": 20, "preset": "tiny", "trace": "uniform", "threads": 1,
}  # fmt: skip


class Seen(list[tuple[str, bytes]]):
    """What every sample was of, and its window; and the kind of arm that breaks, if one does."""

    broken: type[Arm] | None = None


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> Seen:
    found = Seen()
    honest = Arm.sample

    def sample(self: Arm, window: Window, *, keep: bool) -> None:
        if found.broken is not None and type(self) is found.broken:
            raise StorageError("the disk is gone")
        found.append((type(self).__name__, window.token_ids_BT.tobytes()))
        honest(self, window, keep=keep)

    monkeypatch.setattr(Arm, "sample", sample)
    return found


def lookups(seen: Seen) -> list[bytes]:
    return [window for name, window in seen if name == "LookupArm"]


@pytest.mark.parametrize("trace", ["uniform", "zipf"])
def test_a_resumed_run_reads_on_behind_a_loop_that_no_tier_could_be_measured_in(
    shards: Path, seen: Seen, trace: str
) -> None:
    options = BenchOptions(**WORDS | {"trace": trace})
    kept: list[Any] = []
    document = run_bench(shards, options, lambda _: None, keep=kept.append)
    assert [case["status"] for case in document["cases"]] == ["ok", "skipped", "ok"]
    whole = lookups(seen)
    seen.clear()
    half = json.loads(json.dumps(kept[1]))  # the first two loops are finished
    run_bench(shards, options, lambda _: None, earlier=Earlier(half, Path("r.json")))
    assert [name for name, _ in seen] == ["LookupArm"] * len(whole)
    assert [window for _, window in seen] == whole


def test_a_loop_that_failed_does_not_change_what_the_next_one_reads(
    shards: Path, seen: Seen
) -> None:
    options = BenchOptions(**WORDS | {"tiers": ("host",)})
    run_bench(shards, options, lambda _: None)
    whole = lookups(seen)
    seen.clear()
    seen.broken = GatherArm
    cases = run_bench(shards, options, lambda _: None)["cases"]
    assert [case["status"] for case in cases] == ["failed", "failed", "ok"]
    assert [window for _, window in seen] == whole


@pytest.mark.parametrize(
    ("words", "count"),
    [
        ({"cases": ("gather.decode",), "cache": "warm"}, 2),
        ({"cases": ("lookup.decode",), "cache": "traffic"}, 2),
        ({"cases": ("step.decode",), "cache": "warm", "issues": ("start", "layer")}, 3),
        ({"cases": ("step.decode",), "cache": "traffic", "issues": ("start", "layer")}, 4),
        ({"cases": ("step.sequences",), "cache": "traffic", "issues": ("before", "layer")}, 2),
        ({"cases": ("ranks.decode",), "cache": "warm", "ranks": 2, "batch": 4}, 3),
    ],
)
def test_a_loop_has_a_list_of_windows_for_each_group_of_arms(
    words: dict[str, Any], count: int
) -> None:
    [loop] = plan_loops(BenchOptions(**{"tiers": (TINY,)} | words))
    assert num_lists(loop) == count
