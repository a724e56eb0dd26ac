"""A log is filled at second sight, and never beyond what may be written a token."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engramctl.errors import ConfigError
from engramctl.runtime.fmix64 import fmix64
from engramctl.storage.record_log.filling import Filling
from engramctl.storage.record_log.seen_once import WAYS, SeenOnce
from tests.storage.record_log.logs import (
    LARGER,
    Ngram,
    arrays,
    ngrams,
    record_of,
    served,
    served_of_file,
    small_log,
)

NGRAM = st.tuples(st.integers(0, 2), st.integers(0, 5), st.integers(0, 3))


def offer(filling: Filling, these: list[Ngram]) -> int:
    def records(places: NDArray[np.int64]) -> NDArray[np.uint8]:
        return np.stack([record_of(these[place]) for place in places.tolist()])

    return filling.offer(*arrays(these), records)


def test_an_ngram_is_recorded_when_it_is_fetched_a_second_time(tmp_path: Path) -> None:
    a, b, c = ngrams(3)
    with small_log(tmp_path / "log", **LARGER) as log:
        filling = Filling(log, SeenOnce(1 << 12), 1e9)
        filling.tokens(1)
        assert offer(filling, [a, b, a]) == 0  # twice in a batch is fetched once
        assert offer(filling, [a, c]) == 1
        assert offer(filling, [a, b, c]) == 2  # a is there already
        assert offer(filling, []) == 0
        assert (filling.offered, filling.recorded, filling.refused) == (7, 3, 0)
    assert served_of_file(tmp_path / "log", ngrams(10), **LARGER) == {a, b, c}


def test_without_tokens_nothing_is_written_and_what_was_refused_is_counted(tmp_path: Path) -> None:
    these = ngrams(20)
    with small_log(tmp_path / "log", **LARGER) as log:
        filling = Filling(log, SeenOnce(1 << 12), 2000.0)
        offer(filling, these)
        assert offer(filling, these) == 0
        assert (filling.refused, filling.bytes_written) == (20, 0)
        filling.tokens(15)
        assert 0 < offer(filling, these) < 20
    assert 0 < filling.bytes_written <= 30_000


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.one_of(st.integers(1, 40), st.lists(st.sampled_from(ngrams(60)), max_size=25)),
        max_size=30,
    ),
    st.floats(0, 3000),
    st.booleans(),
)
def test_at_no_moment_more_is_written_than_allowed(
    tmp_path_factory: pytest.TempPathFactory,
    steps: list[int | list[Ngram]],
    rate: float,
    used: bool,
) -> None:
    path = tmp_path_factory.mktemp("log") / "log"
    with small_log(path) as log:
        if used:
            log.append(*arrays(ngrams(3)), np.stack([record_of(one) for one in ngrams(3)]))
    tokens = written = 0
    real = os.pwrite

    def pwrite(descriptor: int, data: memoryview, offset: int) -> int:
        nonlocal written
        written += len(data)
        assert written <= rate * tokens
        return real(descriptor, data, offset)

    with small_log(path) as log, mock.patch.object(os, "pwrite", pwrite):
        filling = Filling(log, SeenOnce(1 << 12), rate)
        for step in steps:
            if isinstance(step, int):
                tokens += step
                filling.tokens(step)
            else:
                offer(filling, step)
                assert filling.bytes_written == written
        served(log, ngrams(60))
        log.close()


def test_eight_threads_keep_to_what_is_allowed_together(tmp_path: Path) -> None:
    these, written = ngrams(60), 0
    broken: list[int] = []
    real = os.pwrite

    def pwrite(descriptor: int, data: memoryview, offset: int) -> int:
        nonlocal written
        written += len(data)
        if written > 1000 * tokens:
            broken.append(written)
        return real(descriptor, data, offset)

    with small_log(tmp_path / "log") as log, mock.patch.object(os, "pwrite", pwrite):
        filling, tokens, lock = Filling(log, SeenOnce(1 << 12), 1000.0), 0, threading.Lock()

        def work(number: int) -> None:
            nonlocal tokens
            random = np.random.default_rng(number)
            for _ in range(30):
                with lock:
                    tokens += 5
                filling.tokens(5)
                offer(filling, [these[i] for i in random.integers(0, 60, 10)])

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(8)))
        assert filling.recorded > 100
        assert filling.refused > 0
    assert broken == []


def test_a_log_that_stopped_is_offered_nothing(tmp_path: Path) -> None:
    these = ngrams(3)
    with small_log(tmp_path / "log", **LARGER) as log:
        filling = Filling(log, SeenOnce(1 << 12), 1e9)
        filling.tokens(1)
        log.stopped = "for a test"
        offer(filling, these)
        assert offer(filling, these) == filling.offered == 0
        for rate in (-1.0, float("inf"), float("nan")):
            with pytest.raises(ConfigError):
                Filling(log, SeenOnce(16), rate)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.lists(NGRAM, max_size=12), max_size=12), st.integers(16, 100))
def test_the_filter_is_sets_of_eight_fingerprints(batches: list[list[Ngram]], size: int) -> None:
    seen = SeenOnce(size)
    sets: list[list[int]] = [[] for _ in range(size // 16)]
    assert size - 16 < seen.num_bytes <= size
    for batch in batches:
        expected = []
        for order, low, high in batch:
            inner = (int(fmix64(np.uint64(high))) + order + 1) % 2**64
            mixed = int(fmix64(np.uint64(low ^ int(fmix64(np.uint64(inner))))))
            held, mark = sets[(mixed >> 32) * len(sets) >> 32], max(1, mixed & 0xFFFF)
            expected.append(mark in held)
            if mark not in held:
                held.insert(0, mark)
                del held[WAYS:]
        assert seen.second(*arrays(batch)).tolist() == expected


def test_a_filter_a_quarter_full_remembers_nearly_all_and_takes_few_for_others() -> None:
    count = 50_000
    seen = SeenOnce(8 * count)
    assert seen.second(*arrays(ngrams(count))).mean() < 0.001
    assert seen.second(*arrays(ngrams(count))).mean() > 0.99
    for size in (15, (1 << 35) + 1):
        with pytest.raises(ConfigError):
            SeenOnce(size)


def test_whatever_is_allowed_closing_keeps_to_it(tmp_path: Path) -> None:
    written = set()
    for allowed in range(0, 24_000, 150):
        path = tmp_path / str(allowed)
        with small_log(path) as log:
            filling = Filling(log, SeenOnce(1 << 12), 1.0)
            filling.tokens(allowed)
            for one in ngrams(6):
                offer(filling, [one])
                offer(filling, [one])
        assert filling.bytes_written <= allowed
        written.add(filling.bytes_written)
    assert {0, 8192, 12288} <= written


def test_tokens_are_counted_while_the_log_writes(tmp_path: Path) -> None:
    with small_log(tmp_path / "log") as log:
        filling = Filling(log, SeenOnce(1 << 12), 1.0)
        with filling.lock:  # as it is held while the disk works
            counts = threading.Thread(target=filling.tokens, args=(5000,), daemon=True)
            counts.start()
            counts.join(10)
            assert not counts.is_alive()


def test_any_finite_rate_is_a_rate(tmp_path: Path) -> None:
    with small_log(tmp_path / "log") as log:
        filling = Filling(log, SeenOnce(1 << 12), 1e308)
        filling.tokens(100)
        assert offer(filling, ngrams(3)) == 0
        assert offer(filling, ngrams(3)) == 3
