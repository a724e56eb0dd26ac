"""Traces, percentiles and where memories sit in a model."""

import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engramctl.bench.measured_model import memory_positions
from engramctl.bench.options import BenchOptions
from engramctl.bench.trace import Trace
from engramctl.errors import ConfigError, CorpusError, EngramError
from engramctl.results.document import SCHEMA, Case, p99, percent_over, percentile
from tests.conftest import ROOT


@given(st.lists(st.integers(0, 10**9), min_size=1), st.integers(1, 100))
def test_a_percentile_is_a_sample_with_enough_samples_below(samples: list[int], p: int) -> None:
    value = percentile(samples, p)
    assert value in samples
    assert sum(sample <= value for sample in samples) >= len(samples) * p / 100
    assert sum(sample < value for sample in samples) < len(samples) * p / 100


def test_overheads_compare_medians() -> None:
    assert percent_over([110, 110, 500], [100, 90, 100]) == pytest.approx(10.0)
    assert percent_over([], [1]) is None


@given(st.lists(st.integers(1, 10**9), max_size=300))
def test_a_p99_has_a_sample_beyond_it(samples: list[int]) -> None:
    value = p99(samples)
    assert (value is None) == (len(samples) < 100)
    if value is not None:
        assert sorted(samples).index(value) < len(samples) - 1 or samples.count(value) > 1


def test_the_document_of_the_format_names_every_key_of_a_case() -> None:
    case = Case(name="gather", phase="decode", tier="host", cache="warm", loop="warm")
    text = (ROOT / "docs" / "result.md").read_text()
    named = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)))
    around = ["schema", "created_utc", "command", "environment", "config", "warnings", "cases"]
    around += ["ceilings", "step_fit"]
    assert {*case.to_dict(), *around} == set(named)
    assert SCHEMA in text


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


@pytest.mark.parametrize("documents", [[], [[]], [[], []]])
def test_a_trace_without_a_token_is_refused(documents: list[list[int]], tmp_path: Path) -> None:
    path = tmp_path / "corpus.parquet"
    column = pa.array(documents, pa.list_(pa.int32()))
    pq.write_table(pa.table({"input_ids": column}), path)
    with pytest.raises(CorpusError, match="has no tokens"):
        Trace(str(path), 30, seed=0).window(1, 4, 1)


@pytest.mark.parametrize("column", [{"text": ["a"]}, {"other": [1]}])
def test_a_trace_of_no_ids_hints_at_no_option_that_bench_lacks(
    column: dict[str, list[object]], tmp_path: Path
) -> None:
    path = tmp_path / "corpus.parquet"
    pq.write_table(pa.table(column), path)
    with pytest.raises(EngramError) as caught:
        Trace(str(path), 30, seed=0).window(1, 4, 1)
    assert caught.value.hint == "a trace is a column input_ids or token_ids of Parquet files"


def test_more_table_layers_than_the_model_has_is_an_error() -> None:
    with pytest.raises(ConfigError, match="does not fit a model of 2"):
        memory_positions((1, 2, 3), own=(1,), depth=2)
    assert memory_positions((5, 6, 7), own=(1,), depth=4) == [0, 1, 2]


def test_caches_of_a_tier() -> None:
    assert BenchOptions(cache="both").caches("ssd") == ("warm", "cold")
    assert BenchOptions(cache="cold").caches("ssd") == ("cold",)
    assert BenchOptions(cache="cold").caches("host") == ()
    assert BenchOptions(cache="both").caches("host") == ("warm",)


def test_a_mistyped_trace_is_asked_about() -> None:
    with pytest.raises(EngramError) as error:
        Trace("zpif", 100, seed=0)
    assert error.value.hint is not None
    assert error.value.hint.startswith("did you mean 'zipf'?\n")
