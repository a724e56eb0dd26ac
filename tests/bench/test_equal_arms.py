"""Two arms that are equal differ by less than the printed resolution, in 19 of 20 runs.

The arms are real, and take their turns as in a run; time is not: every look at the clock finds it a
random while further on, and the machine gets slower all the time. So a machine that is busy with
other work changes nothing, and orders, pairs, medians or bounds that are wrong do.
"""

import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from engramctl.arms.ground import Ground
from engramctl.arms.rounds import interleave
from engramctl.arms.subject import Subject
from engramctl.bench.cases import loop_cases
from engramctl.bench.loop_arms import make_arms
from engramctl.measured.folder import scheme_of
from engramctl.measured.model import Models
from engramctl.results.document import percent_over
from engramctl.shown.rows import below_resolution
from engramctl.storage import open_store
from engramctl.storage.reading.table import open_table
from engramctl.sweep.loops import Loop
from engramctl.sweep.options import BenchOptions
from engramctl.traffic.trace import Trace

ROUNDS, RUNS = 22, 40
OPTIONS = BenchOptions(tiers=("host", "ssd"), cases=("gather",))
LOOP = Loop("gather", "decode", "warm", ("host", "ssd"), OPTIONS)


def no_models() -> Models:
    raise AssertionError("a gather needs no model")


class RandomClock:
    """A clock by which equal work takes an equal time but for noise, and ever longer."""

    def __init__(self, seed: int) -> None:
        self._random, self._now, self._looks = np.random.default_rng(seed), 0.0, 0

    def __call__(self) -> int:
        self._looks += 1
        slower = 1 + self._looks / 3000
        self._now += 1e6 * slower * float(np.exp(0.2 * self._random.standard_normal()))
        return round(self._now)


@pytest.fixture
def no_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Ground, "level", lambda self: None)


def runs(
    shards: Path, monkeypatch: pytest.MonkeyPatch, slower: float = 1.0
) -> Iterator[tuple[float | None, float | None]]:
    """Difference and resolution of many runs in which the ssd tier is the host tier once more."""
    scheme = scheme_of(shards, open_table(shards).manifest.scheme)
    cpu = torch.device("cpu")
    trace = Trace("uniform", scheme.vocab_size, 0)
    stores = [open_store(shards, "host", dtype=torch.float32) for _ in LOOP.tiers]
    try:
        for seed in range(RUNS):
            subjects = {
                tier: Subject(store, scheme, "warm")
                for tier, store in zip(LOOP.tiers, stores, strict=True)
            }
            arms = make_arms(OPTIONS, LOOP, subjects, Ground(cpu), no_models, "host")
            assert arms.copy is not None
            measured = [arm for group in arms.by_windows(apart=False) for arm in group]
            windows = [trace.window(1, 1, scheme.max_order - 1) for _ in range(ROUNDS)]
            with monkeypatch.context() as patch:
                patch.setattr(time, "perf_counter_ns", RandomClock(seed))
                interleave(measured, [windows] * len(measured), 2, lambda _: None)
            for arm in (arms.timed["ssd", None], arms.copy):
                arm.samples_ns = [round(one * slower) for one in arm.samples_ns]
            cases = loop_cases(OPTIONS, LOOP, LOOP.tiers, "host", {}, arms)
            host, ssd = cases
            yield percent_over(ssd.samples_ns, host.samples_ns), ssd.resolution_percent
    finally:
        for store in stores:
            store.close()


@pytest.mark.usefixtures("no_rest")
def test_nineteen_of_twenty_runs_find_no_difference_between_equal_arms(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = list(runs(shards, monkeypatch))
    assert [below_resolution(*one) for one in found].count(True) >= RUNS * 19 / 20
    assert all(bound is not None and bound < 15 for _, bound in found)


@pytest.mark.usefixtures("no_rest")
def test_a_difference_of_a_quarter_is_found_in_all_of_them(
    shards: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = runs(shards, monkeypatch, slower=1.25)
    assert all(below_resolution(*one) is False for one in found)
