"""The index of records that come and go answers as a dict of tuples does."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.errors import ConfigError
from engramctl.runtime.fmix64 import fmix64
from engramctl.storage.record_log.live_index import LiveIndex
from tests.storage.record_log.logs import KEY_BITS, ORDERS, arrays, ngrams
from tests.storage.unmixing import unmix

RECORDS = 64
NGRAM = st.tuples(
    st.integers(0, ORDERS - 1),
    st.one_of(st.integers(0, 3), st.integers(0, 2**64 - 1)),
    st.integers(0, 15),
)
STEP = st.one_of(
    st.tuples(st.just("insert"), NGRAM, st.integers(0, RECORDS - 1)),
    st.tuples(st.just("remove"), NGRAM, st.integers(0, RECORDS - 1)),
    st.tuples(st.just("drop"), st.integers(0, RECORDS), st.integers(0, RECORDS)),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(STEP, max_size=60), st.lists(NGRAM, max_size=20))
def test_the_index_finds_what_a_dict_finds(steps: list, others: list) -> None:  # type: ignore[type-arg]
    index = LiveIndex(RECORDS, num_orders=ORDERS, key_bits=KEY_BITS)
    reference: dict[tuple[int, int, int], int] = {}
    asked = list(others)
    for verb, first, number in steps:
        if verb == "drop":
            gone = [one for one, held in reference.items() if first <= held < number]
            assert index.drop(first, number) == len(gone)
            for one in gone:
                del reference[one]
            continue
        asked.append(first)
        orders, keys = arrays([first])
        if verb == "insert" and len(reference) < RECORDS:
            index.insert(orders, keys, np.array([number]))
            reference[first] = number
        elif verb == "remove":
            index.remove(orders, keys, np.array([number]))
            if reference.get(first) == number:
                del reference[first]
    assert index.entries == len(reference)
    if asked:
        found = index.find(*arrays(asked)).tolist()
        assert found == [reference.get(one, -1) for one in asked]


def test_a_full_index_finds_every_ngram_and_no_stranger() -> None:
    count = 80_000  # more slots than are swept at once
    index = LiveIndex(count, num_orders=ORDERS, key_bits=KEY_BITS)
    held, strangers = arrays(ngrams(count)), arrays(ngrams(count, seed=1))
    index.insert(*held, np.arange(count))
    assert np.array_equal(index.find(*held), np.arange(count))
    assert set(index.find(*strangers).tolist()) == {-1}
    assert index.drop(10_000, 70_000) == 60_000
    expected = np.arange(count)
    expected[10_000:70_000] = -1
    assert np.array_equal(index.find(*held), expected)


def test_a_key_longer_than_the_index_knows_is_not_found() -> None:
    index = LiveIndex(10, num_orders=ORDERS, key_bits=KEY_BITS)
    orders, keys = arrays([(1, 5, 0)])
    index.insert(orders, keys, np.array([3]))
    long = [(1, 5, 16), (1, 5, 2**62), (1, 5, 2**64 - 1), (1, 5, 0)]
    assert index.find(*arrays(long)).tolist() == [-1, -1, -1, 3]
    assert index.fits(*arrays(long)).tolist() == [False, False, False, True]


def test_ngrams_that_all_want_one_slot_cost_hits_and_bounded_work() -> None:
    """An entry farther from home than can be said is left out; the others stay right."""
    lows = [unmix(m << 32) for m in range(2000)]  # agree in bucket and low half: all one home
    assert int(fmix64(np.uint64(lows[7]))) == 7 << 32
    index = LiveIndex(4000, num_orders=1, key_bits=64)
    orders, keys = arrays([(0, low, 0) for low in lows])
    index.insert(orders, keys, np.arange(2000))
    found = index.find(orders, keys)
    assert index.entries == np.count_nonzero(found >= 0) == 256
    assert np.array_equal(found[found >= 0], np.flatnonzero(found >= 0))
    assert index.drop(0, 4000) == 256
    assert index.entries == 0


def test_its_memory_is_what_it_says_and_twelve_bytes_an_entry_at_seven_eighths() -> None:
    tracemalloc.start()
    index = LiveIndex(1 << 20, num_orders=ORDERS, key_bits=KEY_BITS)
    taken = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert index.num_bytes <= taken <= index.num_bytes + 10_000
    assert index.num_bytes <= 1.01 * (1 << 20) * 12 * 8 / 7


def test_what_no_exact_index_can_hold_is_refused() -> None:
    with pytest.raises(ConfigError, match="too long"):
        LiveIndex(10, num_orders=3, key_bits=87)
    for records in (0, 1 << 26):
        with pytest.raises(ConfigError, match="records"):
            LiveIndex(records, num_orders=3, key_bits=68)


def test_entries_that_may_not_move_on_make_a_new_one_give_way() -> None:
    """One home is full to its end; an entry of a home in front would have to move them."""
    index = LiveIndex(4000, num_orders=1, key_bits=64)
    width = 4000 * 8 // 7 // 2 + 1
    step = -(-(1 << 32) // width)  # of low halves: the next home
    home = [(0, unmix((m << 32) + 9 * step), 0) for m in range(256)]
    index.insert(*arrays(home), np.arange(256))
    before = [(0, unmix((m << 32) + 5 * step), 0) for m in range(6)]
    index.insert(*arrays(before), np.arange(300, 306))
    assert index.find(*arrays(home)).tolist() == list(range(256))
    assert index.find(*arrays(before)).tolist() == [300, 301, 302, 303, -1, -1]
    assert index.entries == 260


def test_an_ngram_with_the_same_low_word_that_lies_at_anothers_home_is_not_it() -> None:
    index = LiveIndex(RECORDS, num_orders=ORDERS, key_bits=KEY_BITS)  # two slots a bucket
    three = [(0, unmix(m << 32), 0) for m in range(3)]  # the third lies in the next one's
    index.insert(*arrays(three), np.arange(3))
    assert index.find(*arrays([*three, (1, three[2][1], 0)])).tolist() == [0, 1, 2, -1]
