"""Rows that must never get into the dictionary that traffic fills."""

import os
from pathlib import Path

import numpy as np
import pytest

from engramctl.storage import SelfFilled
from engramctl.storage.cache import ngram_records
from engramctl.storage.format.dictionary_entry import INDEX_FILE, RECORDS_FILE
from engramctl.storage.readers import open_files
from tests.storage.dictionaries import HEADS, KEY_BITS, ORDERS
from tests.storage.dictionary.texts import Text, opened, plainly, poisoned, wrong


def fill(path: Path) -> SelfFilled:
    return SelfFilled(path, len(ORDERS), HEADS, KEY_BITS, 8 << 20, 1e9)


def test_keys_that_the_caller_writes_over_name_no_record(text: Text, tmp_path: Path) -> None:
    (text.path / RECORDS_FILE).unlink()
    (text.path / INDEX_FILE).unlink()
    plain = plainly(text)
    rng = np.random.default_rng(0)
    asked = [text.draw(rng, 50) for _ in range(6)]
    buffer = np.empty((50, len(ORDERS), 2), np.uint64)
    with opened(text, fill=fill(tmp_path / "log")) as store:
        for places in asked * 3:
            ids, buffer[:] = text.take(places)
            ticket = store.prefetch(ids, keys=buffer)
            buffer[:] = text.take(asked[0][::-1])[1]
            for layer in ids:
                ticket.wait(layer)
        assert store.stats().log_entries > 100
    with opened(text, fill=fill(tmp_path / "log")) as store:
        assert sum(wrong(store, text, places, plain) for places in asked) == 0
        assert store.stats().log_compared > 100
        assert store.stats().log_stopped is None


def test_a_log_that_cannot_be_read_any_more_is_not_written_to(text: Text, tmp_path: Path) -> None:
    (text.path / RECORDS_FILE).unlink()
    (text.path / INDEX_FILE).unlink()
    plain = plainly(text)
    rng = np.random.default_rng(0)
    places = text.draw(rng, 100)
    with opened(text, fill=fill(tmp_path / "log")) as store:
        for _ in range(3):
            assert wrong(store, text, places, plain) == 0
        os.truncate(tmp_path / "log", 0)
        assert wrong(store, text, places, plain) == 0
        assert store.stats().log_stopped == "a read of it failed"
        written = store.stats().log_bytes_written
        for places in [text.draw(rng, 100)] * 3:
            assert wrong(store, text, places, plain) == 0
        assert store.stats().log_bytes_written == written


def test_rows_of_poisoned_records_do_not_outlive_them_in_the_log(
    text: Text, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_files, "LOOK_AGAIN_NS", 1 << 62)
    plain = plainly(text)
    rng = np.random.default_rng(2)
    path = tmp_path / "log"
    with opened(text, 1 << 20, fill=fill(path)) as store:
        for places in [text.draw(rng, 100)] * 4:
            assert wrong(store, text, places, plain) == 0
            store.drop()
        assert store.stats().log_entries > 0
        poisoned(text)
        monkeypatch.setattr(ngram_records, "COMPARED_ONE_IN", 1)
        while store.stats().dictionary_lost is None:
            wrong(store, text, text.draw(rng, 40), plain)
            store.drop()
        assert "it may have rows of a file" in str(store.stats().log_stopped)
        assert not path.exists()
        assert wrong(store, text, text.draw(rng, 300), plain) == 0


def test_a_dictionary_that_was_never_trusted_costs_no_log(text: Text, tmp_path: Path) -> None:
    plain = plainly(text)
    poisoned(text)
    rng = np.random.default_rng(2)
    with opened(text, 1 << 20, fill=fill(tmp_path / "log")) as store:
        for _ in range(5):
            assert wrong(store, text, text.draw(rng, 40), plain) == 0
        assert store.stats().dictionary_lost is not None
        assert store.stats().log_stopped is None
