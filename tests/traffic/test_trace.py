"""Windows of token ids: each once, in order, and an error where there are none."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engramctl.errors import CorpusError, EngramError
from engramctl.traffic.trace import Trace


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


def test_a_mistyped_trace_is_asked_about() -> None:
    with pytest.raises(EngramError) as error:
        Trace("zpif", 100, seed=0)
    assert error.value.hint is not None
    assert error.value.hint.startswith("did you mean 'zipf'?\n")


@pytest.mark.parametrize("name", ["text", "zipf", "uniform"])
def test_a_decode_step_reads_the_token_after_the_one_before(name: str) -> None:
    text = np.arange(1000) if name == "text" else None
    steps = Trace(name, 1000, 0, text).windows(count=20, batch=3, tokens=1, context=4)
    for before, after in pairwise(steps):
        said = np.concatenate([before.history_BC, before.token_ids_BT], axis=1)
        np.testing.assert_array_equal(said[:, 1:], after.history_BC)
    if text is not None:
        all_read = np.concatenate([one.token_ids_BT for one in steps], axis=1)
        assert len(np.unique(all_read)) == all_read.size  # each sequence is a text of its own
        assert (np.diff(all_read, axis=1) == 1).all()


def test_prompts_are_new_each_time() -> None:
    prompts = Trace("text", 1000, 0, np.arange(1000)).windows(4, batch=2, tokens=50, context=3)
    read = np.concatenate([one.token_ids_BT.ravel() for one in prompts])
    assert len(np.unique(read)) == len(read)
    for one in prompts:
        np.testing.assert_array_equal(one.history_BC[:, -1] + 1, one.token_ids_BT[:, 0])


def test_what_is_read_before_is_one_text_in_chunks_and_samples_follow_it() -> None:
    trace = Trace("text", 1000, 0, np.arange(1000))
    chunks = list(trace.chunks(100, 30, context=3))
    assert [one.token_ids_BT.shape for one in chunks] == [(1, 30), (1, 30), (1, 30), (1, 10)]
    read = np.concatenate([one.token_ids_BT[0] for one in chunks])
    np.testing.assert_array_equal(read, np.arange(3, 103))
    for one in chunks:
        np.testing.assert_array_equal(one.history_BC[0], one.token_ids_BT[0, 0] + np.arange(-3, 0))
    assert trace.window(1, 4, 3).history_BC.tolist() == [[103, 104, 105]]
    assert not trace.wrapped
    assert list(Trace("text", 9, 0, np.arange(9)).chunks(0, 30, context=3)) == []


def test_a_text_too_short_to_be_read_before_is_refused() -> None:
    trace = Trace("text", 1000, 0, np.arange(102))
    with pytest.raises(CorpusError, match="too short to be read before") as error:
        list(trace.chunks(100, 30, context=3))
    assert error.value.facts["found"] == "102"
