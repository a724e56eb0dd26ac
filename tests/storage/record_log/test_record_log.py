"""A log gives back what a dict of what it still holds would, and never another row."""

import dataclasses
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.errors import ConfigError, FormatError, StorageError
from engramctl.storage.record_log.log_format import LogFormat
from tests.helpers.forked import in_child
from tests.storage.record_log.logs import (
    DIGEST,
    LARGER,
    SMALL,
    Ngram,
    append,
    arrays,
    ngrams,
    read,
    served,
    served_of_file,
    small_log,
)

ASKED = ngrams(40)


@dataclasses.dataclass
class Model:
    """What a log must hold: its n-grams, segment by segment, oldest first."""

    per_segment: int
    num_segments: int
    segments: list[list[Ngram]] = dataclasses.field(default_factory=lambda: [[]])
    dropped: int = 0

    @property
    def held(self) -> list[Ngram]:
        return [one for segment in self.segments for one in segment]

    def append(self, these: list[Ngram]) -> int:
        taken, new = 0, [one for one in dict.fromkeys(these) if one not in self.held]
        for one in new:
            if len(self.segments[-1]) == self.per_segment:
                self.segments.append([])
                if len(self.segments) > self.num_segments:
                    self.dropped += len(self.segments.pop(0))
            self.segments[-1].append(one)
            taken += 1
        return taken


STEPS = st.lists(
    st.one_of(st.just("reopen"), st.lists(st.sampled_from(ASKED), max_size=7)), max_size=14
)


@settings(max_examples=60, deadline=None)
@given(STEPS)
def test_a_log_holds_what_a_model_of_it_holds(
    tmp_path_factory: pytest.TempPathFactory, steps: list[Any]
) -> None:
    path = tmp_path_factory.mktemp("log") / "log"
    log = small_log(path)
    model = Model(log.entries_per_segment, log.num_segments)
    for step in [*steps, "reopen"]:
        if step == "reopen":
            log.close()
            log = small_log(path)
            model.dropped = 0
            assert served(log, ASKED) == set(model.held)
            assert log.entries == len(model.held)
        else:
            assert append(log, step) == model.append(step)
            assert served(log, ASKED) <= set(model.held)
            assert log.entries >= len(model.held) - 3  # of a page that is not full
        assert log.dropped == model.dropped
        assert os.stat(path).st_size == LogFormat.planned(**SMALL).file_bytes
    log.close()


def test_many_records_come_back_by_every_segment(tmp_path: Path) -> None:
    these = ngrams(900)
    with small_log(tmp_path / "log", **LARGER) as log:
        assert append(log, these) == 900
        held = served(log, these)
        assert log.dropped > 0
        assert len(held) == log.entries > 400
        assert held == set(these[-900 + log.dropped :][: log.entries])
    assert served_of_file(tmp_path / "log", these, **LARGER) == set(these[log.dropped :])


def test_a_record_is_found_only_when_its_last_byte_is_in_the_file(tmp_path: Path) -> None:
    with small_log(tmp_path / "log", **LARGER) as log:
        for one in ngrams(100):
            append(log, [one])
            for ngram in ngrams(100):
                key = np.array(ngram[1:], np.uint64)
                [number] = log.find(ngram[0], key[None]).tolist()
                assert number < 0 or log.valid(number, ngram[0], key, read(log, number))
        assert append(log, ngrams(100)) == 0  # those on their way are there already


def test_an_entry_counts_for_its_ngram_and_its_segments_life_alone(tmp_path: Path) -> None:
    with small_log(tmp_path / "log") as log:
        first = ngrams(1)[0]
        append(log, ngrams(40)[:3])
        key = np.array(first[1:], np.uint64)
        [number] = log.find(first[0], key[None]).tolist()
        entry = bytearray(read(log, number))
        assert log.valid(number, first[0], key, entry)
        assert not log.valid(number, first[0] + 1, key, entry)
        assert not log.valid(number, first[0], key + np.uint64(1), entry)
        assert not log.valid(number, first[0], key, entry[:-1])
        for at in (0, 8, 20, 31, 32, len(entry) - 1):
            entry[at] ^= 1
            assert not log.valid(number, first[0], key, entry)
            entry[at] ^= 1
        append(log, ngrams(40)[3:])  # the oldest segments are dropped
        assert not log.valid(number, first[0], key, entry)


def test_a_bad_record_is_forgotten_and_appended_again(tmp_path: Path) -> None:
    with small_log(tmp_path / "log") as log:
        these = ngrams(4)
        append(log, these)
        orders, keys = arrays(these[:1])
        number = log.find(0, keys)
        log.forget(orders, keys, number + 1)
        assert log.find(0, keys) == number
        log.forget(orders, keys, number)
        assert log.find(0, keys) == -1
        assert append(log, these[:1]) == 1


def test_keys_and_orders_out_of_range_are_not_taken(tmp_path: Path) -> None:
    strange = [(3, 1, 1), (-1, 1, 1), (0, 1, 16)]
    with small_log(tmp_path / "log") as log:
        orders, keys = arrays(strange)
        assert log.append(orders, keys, np.zeros((3, 1500), np.uint8)) == 0


def test_a_log_of_another_table_or_geometry_or_no_log_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "log"
    small_log(path).close()
    for changed in (
        {"table_xxh3_128": DIGEST[::-1]}, {"record_bytes": 1501}, {"num_orders": 2},
        {"key_bits": 67}, {"size_bytes": 1 << 20}, {"segment_bytes": 1 << 14, "size_bytes": 81920},
    ):  # fmt: skip
        with pytest.raises(FormatError, match="another") as told:
            small_log(path, **changed)
        assert {"expected", "found"} <= set(told.value.facts)
        assert "delete it" in str(told.value.hint)
    (tmp_path / "text").write_text("a stranger's file\n")
    with pytest.raises(FormatError, match="no n-gram log"):
        small_log(tmp_path / "text")
    assert (tmp_path / "text").read_text() == "a stranger's file\n"
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FormatError, match="not a file"):
        small_log(tmp_path / "pipe")


def test_what_cannot_be_made_is_an_error_with_its_path(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="nowhere"):
        small_log(tmp_path / "nowhere" / "log")
    for size in (0, 4096, 4096 * 6):
        with pytest.raises(ConfigError, match="too small"):
            small_log(tmp_path / "log", size_bytes=size)
    assert not (tmp_path / "log").exists()
    assert small_log(tmp_path / "log", size_bytes=4096 * 7).num_segments == 2


def test_segments_shrink_until_there_are_four(tmp_path: Path) -> None:
    planned = LogFormat.planned(**{**SMALL, "size_bytes": 1 << 20, "segment_bytes": 64 << 20})
    assert (planned.num_segments, planned.segment_bytes) == (4, 63 << 12)
    planned = LogFormat.planned(**{**SMALL, "size_bytes": 1 << 30, "segment_bytes": 64 << 20})
    assert (planned.num_segments, planned.segment_bytes) == (15, 64 << 20)


def test_only_one_may_have_it_open(tmp_path: Path) -> None:
    with small_log(tmp_path / "log") as log:
        append(log, ASKED[:3])
        with pytest.raises(StorageError, match="another process"):
            small_log(tmp_path / "log")
    small_log(tmp_path / "log").close()


def test_a_forked_child_finds_and_writes_nothing_and_the_lock_stays_ours(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with small_log(path) as log:
        append(log, ASKED[:3])
        before = path.read_bytes()

        def child() -> bool:
            silent = not served(log, ASKED) and append(log, ASKED) == 0
            log.close()
            with pytest.raises(StorageError):
                small_log(path)
            return silent

        assert in_child(child) == 0
        assert path.read_bytes() == before
        assert append(log, ASKED[3:6]) == 3
    assert served_of_file(path, ASKED) == set(ASKED[:6])


def test_a_closed_log_finds_and_takes_nothing(tmp_path: Path) -> None:
    log = small_log(tmp_path / "log")
    append(log, ASKED[:3])
    log.close()
    log.close()
    assert served(log, ASKED) == set()
    assert append(log, ASKED) == 0


def test_a_log_whose_file_was_deleted_serves_on_and_the_next_begins_anew(tmp_path: Path) -> None:
    path = tmp_path / "log"
    with small_log(path) as log:
        append(log, ASKED[:4])
        there = tmp_path / "there"
        os.link(path, there)
        path.unlink()
        assert append(log, ASKED[4:6]) == 2
        with small_log(path) as fresh:
            assert fresh.entries == 0
        log.path = there
        assert served(log, ASKED) == set(ASKED[:6])


def test_eight_threads_append_and_find_and_no_row_is_wrong(tmp_path: Path) -> None:
    these = ngrams(600)
    errors: list[BaseException] = []

    def guarded(work: Callable[[int], None], number: int) -> None:
        try:
            work(number)
        except BaseException as error:
            errors.append(error)

    with small_log(tmp_path / "log", **LARGER) as log:

        def work(number: int) -> None:
            random = np.random.default_rng(number)
            for _ in range(25):
                some = [these[i] for i in random.integers(0, len(these), 12)]
                append(log, some)
                served(log, some)

        threads = [threading.Thread(target=guarded, args=(work, n)) for n in range(8)]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        assert errors == []
        held = served(log, these)
        assert len(held) == log.entries > 400
        assert log.dropped > 0
