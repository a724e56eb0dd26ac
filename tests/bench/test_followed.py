"""Stores that are compared after traffic: every one has seen the same tokens, and no more."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engramctl.bench.run import run_bench
from engramctl.storage.tiers.ssd import SsdStore
from engramctl.sweep.options import BenchOptions
from tests.helpers.corpora import write_ids

FIRST, SECOND, THIRD = "host:256KiB,ssd", "host:264KiB,ssd", "host:1MiB,ssd"
WORDS: dict[str, Any] = {
    "tiers": (FIRST, SECOND, THIRD), "cache": "traffic", "samples": 5, "tokens": 4,
    "preset": "tiny", "context": 3,
}  # fmt: skip


class Asked(dict[str, list[tuple[int, ...]]]):
    """By tier, the row ids of the first layer of every request, in order."""


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    found = Asked()
    honest = SsdStore.prefetch

    def prefetch(self: SsdStore, requests: Any, keys: Any = None) -> Any:
        ids = requests.get(self.layers[0], np.empty(0, np.int64))
        found.setdefault(self.tiers.name, []).append(tuple(ids.ravel().tolist()))
        return honest(self, requests, keys)

    monkeypatch.setattr(SsdStore, "prefetch", prefetch)
    return found


@pytest.mark.parametrize(
    "words",
    [
        {"cases": ("gather",)},
        {"cases": ("lookup.decode",)},
        {"cases": ("step.decode",), "issues": ("start", "layer")},
        {"cases": ("step.decode",), "issues": ("layer",)},
        {"cases": ("step.sequences",), "batch": 2, "sequences": 10, "lengths": (2, 7)},
    ],
)
def test_no_store_sees_more_than_another(
    shards: Path, tmp_path: Path, asked: Asked, words: dict[str, Any]
) -> None:
    ids = np.random.default_rng(5).integers(0, 129_280, 9000).tolist()
    trace = str(write_ids(tmp_path / "trace.parquet", [ids]))
    options = BenchOptions(**WORDS | words, trace=trace, after=100)
    cases = run_bench(shards, options, lambda _: None)["cases"]
    assert sum(bool(one["copy_samples_ns"]) for one in cases) == len(
        {one["phase"] for one in cases}
    )
    first, second, third = (sorted(asked[tier]) for tier in (FIRST, SECOND, THIRD))
    assert first == second == third
    assert len(set(first)) > 10
    for case in cases:
        assert (case["status"], case["check"]["mismatches"]) == ("ok", 0)


def test_other_states_have_no_followers(shards: Path, asked: Asked) -> None:
    options = BenchOptions(**WORDS | {"cases": ("gather.decode",), "cache": "cold"})
    run_bench(shards, options, lambda _: None)
    assert len(asked[FIRST]) == 2 * len(asked[SECOND]) == 2 * len(asked[THIRD])
