"""A dictionary that traffic fills: the same rows in fewer reads, within what may be written."""

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.errors import ConfigError, FormatError, StorageError
from engramctl.storage import SelfFilled, open_store
from engramctl.storage.cache import ngram_records
from engramctl.storage.dictionary.served import served_records
from engramctl.storage.format.dictionary_entry import INDEX_FILE, RECORDS_FILE
from engramctl.storage.io.pages import PAGE
from engramctl.storage.reading.table import open_table
from engramctl.storage.record_log.record_log import RecordLog
from tests.storage.dictionaries import HEADS, KEY_BITS, ORDERS
from tests.storage.dictionary.texts import ROWS, Text, opened, plainly, text_of, wrong

ENOUGH = 1e9


def fill(path: Path, rate: float = ENOUGH, size_bytes: int = 8 << 20) -> SelfFilled:
    return SelfFilled(path, len(ORDERS), HEADS, KEY_BITS, size_bytes, rate)


@pytest.fixture
def bare(text: Text) -> Text:
    """The same table, its mined dictionary deleted."""
    (text.path / RECORDS_FILE).unlink()
    (text.path / INDEX_FILE).unlink()
    return text


def trusted(text: Text, path: Path, plain: dict[int, np.ndarray]) -> None:
    """Fill a log with all n-grams of some positions, and have enough of them compared."""
    with opened(text, fill=fill(path)) as store:
        for _ in range(3):
            assert wrong(store, text, np.stack([np.arange(200)] * 2, axis=1), plain) == 0
        assert store.stats().log_compared > 32


@given(
    st.sampled_from([0, 60_000, 1 << 20]),
    st.sampled_from(["io_uring", "pread"]),
    st.sampled_from([True, False]),
    st.lists(st.tuples(st.integers(0, 3), st.sampled_from([1, 7, 60])), min_size=2, max_size=9),
)
@settings(deadline=None, max_examples=25)
def test_rows_are_the_same_with_and_without(
    tmp_path_factory: pytest.TempPathFactory,
    cache_bytes: int,
    engine: str,
    mined: bool,
    asked: list[tuple[int, int]],
) -> None:
    folder = tmp_path_factory.mktemp("filled")
    text = text_of(folder / "t", "paged", "f8_e4m3", 64)
    if not mined:
        (text.path / RECORDS_FILE).unlink()
        (text.path / INDEX_FILE).unlink()
    plain = plainly(text)
    with opened(text, cache_bytes, engine=engine, fill=fill(folder / "log")) as store:
        for seed, positions in asked:
            places = text.draw(np.random.default_rng(seed), positions)
            assert wrong(store, text, places, plain) == 0
            store.drop()
        stats = store.stats()
        assert stats.log_stopped is None
        assert stats.dictionary_lost is None


def test_an_ngram_is_recorded_when_it_is_fetched_a_second_time(bare: Text, tmp_path: Path) -> None:
    plain = plainly(bare)
    places = bare.draw(np.random.default_rng(0), 40)
    ngrams = sum(len(set(places[:, order].tolist())) for order in range(len(ORDERS)))
    with opened(bare, fill=fill(tmp_path / "log")) as store:
        assert wrong(store, bare, np.concatenate([places, places]), plain) == 0
        assert store.stats().log_entries == store.stats().log_bytes_written == 0
        assert wrong(store, bare, places, plain) == 0
        written = store.stats()
        assert ngrams - 4 <= written.log_entries <= ngrams  # the last page is not full
        assert wrong(store, bare, places, plain) == 0
        after = store.stats()
        assert after.log_hits > 0.9 * ngrams
        assert after.log_bytes_written <= written.log_bytes_written + 2 * PAGE
        table = store.table
    with opened(bare, fill=fill(tmp_path / "log")) as again:
        assert again.stats().log_entries >= written.log_entries
        for _ in range(2):
            reads = again.stats().device_reads
            assert wrong(again, bare, places, plain) == 0
        stats = again.stats()
        assert stats.log_compared >= 32
        assert stats.record_reads > 0
        assert stats.index_bytes > 0
        bytes_each = 2 * len(ORDERS) * HEADS * PAGE
        assert stats.device_reads - reads < bytes_each
    assert table.record.record_bytes


def test_reads_are_fewer_once_records_are_trusted(bare: Text, tmp_path: Path) -> None:
    plain = plainly(bare)
    path = tmp_path / "log"
    trusted(bare, path, plain)
    places = np.array([[150, 20]])
    with opened(bare, fill=fill(path)) as store:
        assert wrong(store, bare, np.stack([np.arange(100)] * 2, axis=1), plain) == 0
        before = store.stats()
        assert wrong(store, bare, places, plain) == 0
        after = store.stats()
        assert after.log_hits - before.log_hits == 2
        assert after.device_reads - before.device_reads <= 2
        assert after.record_reads - before.record_reads <= 2


@pytest.mark.parametrize("rate", [0.0, 300.0, 2000.0])
def test_no_more_is_written_than_was_allowed_at_any_moment(
    bare: Text, tmp_path: Path, rate: float
) -> None:
    rng = np.random.default_rng(0)
    with opened(bare, fill=fill(tmp_path / "log", rate)) as store:
        tokens = 0
        for _ in range(60):
            places = bare.draw(rng, 30) // 12
            ids, keys = bare.take(places)
            ticket = store.prefetch(ids, keys=keys)
            tokens += 30
            for layer in ids:
                ticket.wait(layer)
            assert store.stats().log_bytes_written <= rate * tokens
        assert (store.stats().log_entries > 0) == (rate > 0)


def test_a_request_of_one_layer_or_without_keys_records_nothing(bare: Text, tmp_path: Path) -> None:
    ids, keys = bare.take(bare.draw(np.random.default_rng(0), 20))
    with opened(bare, fill=fill(tmp_path / "log")) as store:
        for _ in range(4):
            store.prefetch({1: ids[1]}, keys=keys).wait(1)
            ticket = store.prefetch(ids)
            for layer in ids:
                ticket.wait(layer)
            store.prefetch(ids, keys=keys).wait(4)  # the other layer is never waited for
        assert store.stats().log_entries == 0


def forged(text: Text, path: Path) -> None:
    """Write a log whose checksums are right and whose rows are not."""
    table = open_table(text.path)
    size = len(ROWS) * HEADS * table.record.record_bytes
    with RecordLog.open(
        path, table_xxh3_128=table.manifest.table_xxh3_128, record_bytes=size,
        num_orders=len(ORDERS), key_bits=KEY_BITS, size_bytes=8 << 20,
    ) as log:  # fmt: skip
        for order, keys in text.keys.items():
            records = np.random.default_rng(0).integers(0, 100, (len(keys), size), np.uint8)
            log.append(np.full(len(keys), order), keys, records)


def test_a_poisoned_log_is_found_before_a_row_of_it_is_served(bare: Text, tmp_path: Path) -> None:
    plain = plainly(bare)
    path = tmp_path / "log"
    forged(bare, path)
    rng = np.random.default_rng(0)
    with opened(bare, fill=fill(path)) as store:
        assert store.stats().log_entries > 100
        for _ in range(30):
            assert wrong(store, bare, bare.draw(rng, 1), plain) == 0
        assert store.stats().log_stopped == "a record of it has other bytes than the table's rows"
        assert not path.exists()
        assert wrong(store, bare, bare.draw(rng, 200), plain) == 0
    with opened(bare, fill=fill(path)) as store:
        assert store.stats().log_entries == 0


def damaged(path: Path) -> None:
    """Change bytes of every entry of the first segment."""
    with path.open("r+b") as file:
        file.seek(3 * PAGE)
        data = bytearray(file.read(1 << 20))
        data[::512] = bytes(one ^ 1 for one in data[::512])
        file.seek(3 * PAGE)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def test_damaged_entries_are_not_served(bare: Text, tmp_path: Path) -> None:
    plain = plainly(bare)
    path = tmp_path / "log"
    trusted(bare, path, plain)
    with opened(bare, fill=fill(path)) as store:
        assert wrong(store, bare, np.stack([np.arange(100)] * 2, axis=1), plain) == 0
        damaged(path)
        for first in range(100, 200, 10):
            places = np.stack([np.arange(first, first + 10)] * 2, axis=1)
            assert wrong(store, bare, places, plain) == 0
        assert store.stats().log_stopped is None


def test_damaged_entries_are_recorded_again(bare: Text, tmp_path: Path) -> None:
    plain = plainly(bare)
    path = tmp_path / "log"
    trusted(bare, path, plain)
    places = np.stack([np.arange(200)] * 2, axis=1)
    with opened(bare, fill=fill(path)) as store:
        entries = store.stats().log_entries
        damaged(path)
        assert wrong(store, bare, places, plain) == 0
        assert store.stats().log_entries < entries // 2
        for _ in range(3):
            assert wrong(store, bare, places, plain) == 0
        assert store.stats().log_entries > entries - 10


@pytest.mark.parametrize("how", ["deleted", "emptied"])
def test_a_log_that_goes_under_a_live_store_costs_hits_not_rows(
    bare: Text, tmp_path: Path, how: str
) -> None:
    plain = plainly(bare)
    path = tmp_path / "log"
    trusted(bare, path, plain)
    rng = np.random.default_rng(0)
    with opened(bare, 100_000, fill=fill(path)) as store:
        assert wrong(store, bare, bare.draw(rng, 50), plain) == 0
        if how == "deleted":
            path.unlink()
        else:
            os.truncate(path, 0)
        for _ in range(6):
            assert wrong(store, bare, bare.draw(rng, 50), plain) == 0


def test_a_full_disk_ends_the_filling_not_the_serving(
    bare: Text, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    plain = plainly(bare)
    places = bare.draw(np.random.default_rng(0), 60)
    with opened(bare, fill=fill(tmp_path / "log")) as store:
        with monkeypatch.context() as full:
            full.setattr(os, "pwrite", _full)
            full.setattr(os, "pwritev", _full)
            for _ in range(3):
                assert wrong(store, bare, places, plain) == 0
        assert "No space left" in str(store.stats().log_stopped)
        assert wrong(store, bare, places, plain) == 0


def _full(*_: object) -> int:
    raise OSError(28, "No space left on device")


def test_a_log_is_bound_to_its_table_and_to_one_process(bare: Text, tmp_path: Path) -> None:
    path = tmp_path / "log"
    other = text_of(tmp_path / "other", "packed", "bf16", 128)
    with opened(other, fill=fill(path)), pytest.raises(StorageError, match="another process"):
        opened(other, fill=fill(path))
    with pytest.raises(FormatError):
        opened(bare, fill=fill(path))
    with pytest.raises(ConfigError, match="only an ssd tier with a budget"):
        open_store(bare.path, "ssd", fill=fill(path))
    for tier in ("gpu:1MiB,ssd", "gpu:1MiB,host:2MiB,ssd"):  # refused before a GPU is looked for
        with pytest.raises(ConfigError, match="a row cache on a GPU does not take"):
            open_store(bare.path, tier, fill=fill(path))
    with pytest.raises(ConfigError, match="another scheme"):
        served_records(open_table(other.path), SelfFilled(path, 3, HEADS, KEY_BITS))


def test_a_child_waits_for_no_lock_of_its_parents_filling(bare: Text, tmp_path: Path) -> None:
    plain = plainly(bare)
    places = bare.draw(np.random.default_rng(0), 20)
    with opened(bare, fill=fill(tmp_path / "log")) as store:
        assert store.served is not None
        assert store.served.filling is not None
        held = threading.Thread(target=store.served.filling.lock.acquire)  # by a thread that dies
        held.start()
        held.join()
        child = os.fork()
        if not child:
            signal.alarm(30)
            os._exit(1 if wrong(store, bare, places, plain) else 0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        store.served.filling.lock.release()
        assert wrong(store, bare, places, plain) == 0


def test_eight_threads_and_a_child_get_their_rows(
    bare: Text, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ngram_records, "COMPARED_ONE_IN", 8)
    plain = plainly(bare)
    # A log so small that segments are dropped all the time, under who reads them.
    with opened(bare, 100_000, fill=fill(tmp_path / "log", size_bytes=150_000)) as store:

        def ask(seed: int) -> int:
            rng = np.random.default_rng(seed)
            bad = 0
            for _ in range(20):
                bad += wrong(store, bare, bare.draw(rng, int(rng.integers(1, 100))) // 4, plain)
                store.drop()
            return bad

        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(ask, range(8))) == 0
        assert store.stats().log_dropped > 0
        entries, written = store.stats().log_entries, store.stats().log_bytes_written
        child = os.fork()
        if not child:
            signal.alarm(60)
            os._exit(1 if ask(99) or store.stats().log_bytes_written > written else 0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert store.stats().log_entries == entries
        assert ask(100) == 0
        assert store.stats().log_stopped is None
