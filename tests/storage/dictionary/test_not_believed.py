"""Records that are poisoned, cut or gone: found, and no row is wrong for long, or ever."""

import os

import numpy as np
import pytest

from engramctl.storage import open_store
from engramctl.storage.cache import ngram_records
from engramctl.storage.format.dictionary_entry import INDEX_FILE, RECORDS_FILE
from engramctl.storage.format.row_file import ALIGNMENT_BYTES
from engramctl.storage.io.pages import PAGE
from engramctl.storage.readers import open_files
from engramctl.storage.tiers.ssd import SsdStore
from tests.storage.dictionaries import ENTRIES
from tests.storage.dictionary.texts import Text, opened, plainly, poisoned, wrong


@pytest.mark.parametrize("first", [0, ENTRIES // 2])
def test_a_poisoned_dictionary_is_found_before_a_row_of_it_is_served(
    text: Text, first: int
) -> None:
    plain = plainly(text)
    poisoned(text, first)
    rng = np.random.default_rng(2)
    with opened(text, 1 << 20) as store:
        for _ in range(200):
            assert wrong(store, text, text.draw(rng, 1), plain) == 0
        stats = store.stats()
        assert stats.dictionary_lost == "a record of it has other bytes than the table's rows"
        hits = stats.dictionary_hits
        assert wrong(store, text, text.draw(rng, 300), plain) == 0
        assert store.stats().dictionary_hits == hits


def test_records_are_trusted_when_they_were_compared_not_when_they_were_asked_for(
    text: Text,
) -> None:
    plain = plainly(text)
    poisoned(text)
    rng = np.random.default_rng(0)
    with opened(text) as store:
        asked = [text.take(text.draw(rng, 60)) for _ in range(4)]
        dropped = store.prefetch(asked[0][0], keys=asked[0][1])
        del dropped
        tickets = [store.prefetch(ids, keys=keys) for ids, keys in asked]
        for (ids, _), ticket in zip(reversed(asked), reversed(tickets), strict=True):
            for layer, some in ids.items():
                assert np.array_equal(ticket.wait(layer).numpy(), plain[layer][some])
        assert store.stats().dictionary_compared == 0
        assert store.stats().dictionary_lost is not None


def test_records_under_way_when_their_file_is_found_wrong_are_not_served(
    text: Text, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_files, "LOOK_AGAIN_NS", 1 << 62)
    plain = plainly(text)
    rng = np.random.default_rng(0)
    with opened(text, 1 << 20) as store:
        for _ in range(10):
            assert wrong(store, text, text.draw(rng, 40), plain) == 0
        store.drop()
        poisoned(text)
        places = text.draw(rng, 60)
        ids, keys = text.take(places)
        monkeypatch.setattr(ngram_records, "COMPARED_ONE_IN", 1 << 40)
        under_way = store.prefetch(ids, keys=keys)
        monkeypatch.setattr(ngram_records, "COMPARED_ONE_IN", 1)
        while store.stats().dictionary_lost is None:
            wrong(store, text, text.draw(rng, 40), plain)
        for layer, some in ids.items():
            assert np.array_equal(under_way.wait(layer).numpy(), plain[layer][some])
        assert wrong(store, text, places, plain) == 0


def test_records_that_were_poisoned_later_are_found_by_the_sample(
    text: Text, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_files, "LOOK_AGAIN_NS", 1 << 62)  # nobody looks at the file's times
    plain = plainly(text)
    rng = np.random.default_rng(2)
    with opened(text) as store:
        for _ in range(10):
            assert wrong(store, text, text.draw(rng, 40), plain) == 0
        assert store.stats().dictionary_compared > 32
        poisoned(text)
        for _ in range(60):
            wrong(store, text, text.draw(rng, 40), plain)
        assert store.stats().dictionary_lost is not None
        for _ in range(10):
            assert wrong(store, text, text.draw(rng, 40), plain) == 0


def test_rows_of_poisoned_records_leave_the_row_cache(
    text: Text, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_files, "LOOK_AGAIN_NS", 1 << 62)
    plain = plainly(text)
    rng = np.random.default_rng(2)
    with opened(text, 1 << 20) as store:
        for _ in range(10):
            assert wrong(store, text, text.draw(rng, 40), plain) == 0
            store.drop()
        poisoned(text)
        monkeypatch.setattr(ngram_records, "COMPARED_ONE_IN", 1 << 40)
        places = [text.draw(rng, 40) for _ in range(10)]
        before = sum(wrong(store, text, one, plain) for one in places)
        monkeypatch.setattr(ngram_records, "COMPARED_ONE_IN", 1)
        while store.stats().dictionary_lost is None:
            wrong(store, text, text.draw(rng, 40), plain)
        assert sum(wrong(store, text, one, plain) for one in places) == 0 < before


@pytest.mark.parametrize("how", ["deleted", "cut", "emptied"])
def test_files_that_go_under_a_live_store_cost_hits_not_rows(
    text: Text, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_files, "LOOK_AGAIN_NS", 0)
    plain = plainly(text)
    rng = np.random.default_rng(4)
    path = text.path / RECORDS_FILE
    with opened(text) as store:
        assert wrong(store, text, text.draw(rng, 60), plain) == 0
        assert store.stats().dictionary_lost is None
        if how == "deleted":
            path.unlink()
            (text.path / INDEX_FILE).unlink()
        else:
            os.truncate(path, 0 if how == "emptied" else ALIGNMENT_BYTES + 3 * PAGE + 5)
        for _ in range(5):
            assert wrong(store, text, text.draw(rng, 60), plain) == 0
        told = str(store.stats().dictionary_lost)
        assert "its file was removed" in told or (how != "deleted" and "failed" in told)
    if how == "deleted":
        assert isinstance(open_store(text.path, "ssd", 16 << 20), SsdStore)


def test_a_cut_that_nobody_has_seen_yet_costs_hits(
    text: Text, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(open_files, "LOOK_AGAIN_NS", 1 << 62)
    plain = plainly(text)
    rng = np.random.default_rng(4)
    with opened(text, 200_000) as store:
        assert wrong(store, text, text.draw(rng, 60), plain) == 0
        os.truncate(text.path / RECORDS_FILE, ALIGNMENT_BYTES + 100)
        for _ in range(5):
            assert wrong(store, text, text.draw(rng, 60), plain) == 0
        assert store.stats().dictionary_lost == "a read of it failed"
