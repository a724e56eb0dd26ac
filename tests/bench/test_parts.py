"""Traces, percentiles and the arms' order."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engramctl.bench.arms import interleave
from engramctl.bench.measured_model import memory_positions
from engramctl.bench.options import BenchOptions
from engramctl.bench.result import percent_over, percentile, resolution_percent
from engramctl.bench.trace import Trace, Window
from engramctl.errors import ConfigError


@given(st.lists(st.integers(0, 10**9), min_size=1), st.integers(1, 100))
def test_a_percentile_is_a_sample_with_enough_samples_below(samples: list[int], p: int) -> None:
    value = percentile(samples, p)
    assert value in samples
    assert sum(sample <= value for sample in samples) >= len(samples) * p / 100
    assert sum(sample < value for sample in samples) < len(samples) * p / 100


def test_overheads_compare_medians() -> None:
    assert percent_over([110, 110, 500], [100, 90, 100]) == pytest.approx(10.0)
    assert resolution_percent([98, 98], [100, 100]) == pytest.approx(2.0)
    assert percent_over([], [1]) is None


@pytest.mark.parametrize("name", ["uniform", "zipf"])
def test_generated_traces_repeat_with_their_seed_and_stay_in_range(name: str) -> None:
    windows = [Trace(name, 50, seed=3).window(2, 100, 3) for _ in range(2)]
    for window in windows:
        assert window.history_BC.shape == (2, 3)
        assert window.token_ids_BT.shape == (2, 100)
        assert 0 <= window.token_ids_BT.min() <= window.token_ids_BT.max() < 50
    np.testing.assert_array_equal(windows[0].token_ids_BT, windows[1].token_ids_BT)


def test_a_text_trace_gives_each_token_once_and_tells_when_it_starts_again(tmp_path: Path) -> None:
    path = tmp_path / "corpus.parquet"
    pq.write_table(pa.table({"input_ids": [list(range(20)), list(range(20, 30))]}), path)
    trace = Trace(str(path), 30, seed=0)
    seen = [trace.window(1, 4, 2) for _ in range(5)]
    flat = np.concatenate([np.concatenate([w.history_BC, w.token_ids_BT], 1)[0] for w in seen])
    np.testing.assert_array_equal(flat, np.arange(30))
    assert not trace.wrapped
    trace.window(1, 4, 2)
    assert trace.wrapped


def test_a_text_shorter_than_one_window_is_repeated(tmp_path: Path) -> None:
    path = tmp_path / "corpus.parquet"
    pq.write_table(pa.table({"input_ids": [[7, 8]]}), path)
    window = Trace(str(path), 30, seed=0).window(1, 4, 1)
    assert window.token_ids_BT.tolist() == [[8, 7, 8, 7]]


def test_arms_run_in_alternating_order_and_warm_up_is_not_kept() -> None:
    calls: list[tuple[str, bool]] = []

    class Recorder:
        def __init__(self, name: str) -> None:
            self.name = name

        def sample(self, window: Window, *, keep: bool) -> None:
            calls.append((self.name, keep))

    window = Window(np.zeros((1, 1), np.int64), np.zeros((1, 1), np.int64))
    arms = {name: Recorder(name) for name in "ab"}
    interleave(arms, [window] * 3, warm_up=1)  # type: ignore[arg-type]
    assert calls == [
        ("a", False), ("b", False), ("b", True), ("a", True), ("a", True), ("b", True),
    ]  # fmt: skip


def test_more_table_layers_than_the_model_has_is_an_error() -> None:
    with pytest.raises(ConfigError, match="does not fit a model of 2"):
        memory_positions((1, 2, 3), own=(1,), depth=2)
    assert memory_positions((5, 6, 7), own=(1,), depth=4) == [0, 1, 2]


def test_caches_of_a_tier() -> None:
    assert BenchOptions(cache="both").caches("ssd") == ("warm", "cold")
    assert BenchOptions(cache="cold").caches("ssd") == ("cold",)
    assert BenchOptions(cache="cold").caches("host") == ()
    assert BenchOptions(cache="both").caches("host") == ("warm",)
