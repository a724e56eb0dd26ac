"""The index of n-grams answers as a dict of tuples does."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.errors import ConfigError, FormatError
from engramctl.storage.format.dictionary_index import NgramIndex, find_records, index_bytes
from tests.storage.unmixing import unmix

ORDERS, KEY_BITS = 3, 68
ENTRY = st.tuples(
    st.integers(0, ORDERS - 1),
    st.one_of(st.integers(0, 3), st.integers(0, 2**64 - 1)),
    st.integers(0, 15),
)


@settings(max_examples=60, deadline=None)
@given(st.sets(ENTRY, max_size=80), st.lists(ENTRY, max_size=40))
def test_the_index_finds_what_a_dict_finds(
    entries: set[tuple[int, int, int]], others: list[tuple[int, int, int]]
) -> None:
    listed = sorted(entries)
    order_index = np.array([one[0] for one in listed], np.int64)
    keys = np.array([one[1:] for one in listed], np.uint64).reshape(-1, 2)
    index, turn = NgramIndex.build(order_index, keys, num_orders=ORDERS, key_bits=KEY_BITS)
    reference = {listed[entry]: record for record, entry in enumerate(turn.tolist())}
    assert len(reference) == len(index) == len(listed)
    for order, low, high in [*listed, *others]:
        found = index.find(order, np.array([[low, high]], np.uint64))
        assert found.tolist() == [reference.get((order, low, high), -1)]


def test_a_key_longer_than_the_index_knows_is_not_found() -> None:
    keys = np.array([[5, 0]], np.uint64)
    index, _ = NgramIndex.build(np.zeros(1, np.int64), keys, num_orders=3, key_bits=68)
    probes = np.array([[5, 16], [5, 2**62], [5, 2**64 - 1], [5, 0]], np.uint64)
    assert index.find(0, probes).tolist() == [-1, -1, -1, 0]


def test_keys_that_need_too_many_buckets_are_refused() -> None:
    none = np.empty((0, 2), np.uint64)
    with pytest.raises(ConfigError, match="too long"):
        NgramIndex.build(np.empty(0, np.int64), none, num_orders=3, key_bits=87)


def test_an_ngram_that_is_there_twice_is_refused() -> None:
    keys = np.array([[5, 1], [5, 1]], np.uint64)
    with pytest.raises(ConfigError, match="twice"):
        NgramIndex.build(np.zeros(2, np.int64), keys, num_orders=1, key_bits=68)


class Counted:
    """Remainders that count how many of them are looked at."""

    def __init__(self, remainders: np.ndarray) -> None:
        self.remainders, self.looks = remainders, 0

    def __getitem__(self, place: int) -> np.uint64:
        self.looks += 1
        found: np.uint64 = self.remainders[place]
        return found


def test_a_bucket_that_a_stranger_filled_is_searched_by_halves() -> None:
    entries = 5000
    lows = [unmix(m) for m in range(entries)]  # all in the first bucket
    keys = np.array([[low, 0] for low in lows], np.uint64)
    index, turn = NgramIndex.build(np.zeros(entries, np.int64), keys, num_orders=1, key_bits=64)
    assert int(index.offsets[1]) == entries
    assert np.array_equal(index.find(0, keys)[turn], np.arange(entries))
    remainders, out = Counted(index.remainders), np.empty(1, np.int64)
    bits = np.uint64(index.bucket_bits)
    with np.errstate(over="ignore"):
        find_records.py_func(
            np.zeros(1, np.int64), keys[2345:2346], np.uint64(0), np.uint64(0), bits, remainders,
            index.offsets, out,
        )  # fmt: skip
    assert turn[out[0]] == 2345
    assert remainders.looks < 100


def test_offsets_that_lead_outside_are_refused() -> None:
    keys = np.arange(40, dtype=np.uint64).reshape(-1, 2) % 16
    orders = np.zeros(20, np.int64)
    index, _ = NgramIndex.build(*_distinct(orders, keys), num_orders=1, key_bits=68)
    offsets = index.offsets.copy()
    offsets[3] = 2**31
    with pytest.raises(FormatError):
        NgramIndex(1, 68, index.remainders, offsets)


def _distinct(orders: np.ndarray, keys: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    unique = np.unique(keys, axis=0)
    return orders[: len(unique)], unique


def test_a_million_entries_take_less_than_ten_mebibytes() -> None:
    assert index_bytes(1 << 20, ORDERS, KEY_BITS) == 8 * 2**20 + 4 * (2**17 + 1)
