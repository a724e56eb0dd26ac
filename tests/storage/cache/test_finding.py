"""Many rows found together are those that are found one by one, ghosts and long chains too."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.storage.cache.finding import BLOCK, find_all, find_block, records_fit
from engramctl.storage.cache.s3fifo import CAPACITY, admit, find, place_of, tag_of
from engramctl.storage.cache.slots import Slots, slots_bytes


@given(
    st.integers(1, 90), st.integers(1, 400), st.sampled_from([1, 2]), st.integers(0, 2**40),
    st.integers(1, BLOCK), st.integers(0, 99),
)  # fmt: skip
@settings(deadline=None, max_examples=100)
def test_a_block_is_found_as_its_rows_one_by_one(
    capacity: int, span: int, key_words: int, base: int, count: int, seed: int
) -> None:
    base = base if key_words == 2 else base % 2**31
    rng, slots = np.random.default_rng(seed), Slots.empty(capacity, key_words, 10)
    words, state = slots.words, slots.state
    tags: dict[int, int] = {}
    for row in rng.integers(0, span, 3 * capacity):
        key = base + int(row)
        entry = find(key, words, state)
        if not 0 <= entry < capacity:
            tags[admit(key, entry, int(row) * 7 % 65536, words, state)] = int(row) * 7 % 65536
    rows = rng.integers(0, span, count)
    entries, address = np.full(BLOCK, -9, np.int64), words.ctypes.data
    find_block(rows, 0, count, base, words, address, state, entries)
    wanted = [find(base + int(row), words, state) for row in rows]
    assert entries[:count].tolist() == wanted
    assert (entries[count:] == -9).all()
    held = [0 <= one < state[CAPACITY] for one in wanted]
    found = np.empty(count, np.int32)
    assert find_all(rows, 0, count, base, words, address, state, found) == all(held)
    if all(held):
        assert found.tolist() == wanted
    for row, slot, here in zip(rows.tolist(), wanted, held, strict=True):
        if here:
            assert tag_of(place_of(slot, state), words) == tags[slot] == row * 7 % 65536


def test_keys_that_agree_in_their_low_half_are_two() -> None:
    slots = Slots.empty(8, 2)
    arrays = slots.words, slots.state
    for key in (5, 5 + (1 << 32), 5 - (1 << 40)):
        assert find(key, *arrays) == -1
        slot = admit(key, -1, 0, *arrays)
        assert find(key, *arrays) == slot
    assert slots.rows == 3


def test_records_larger_than_slots_are_refused() -> None:
    slots = Slots.empty(5, 1, 10)
    assert slots.words.nbytes == slots_bytes(5, 1, 10)
    records_fit(slots.words, slots.state, 12)
    with pytest.raises(IndexError, match="no room for the records"):
        records_fit(slots.words, slots.state, 13)
    with pytest.raises(IndexError, match="no room for the records"):
        records_fit(slots.words[:-1], slots.state, 10)
