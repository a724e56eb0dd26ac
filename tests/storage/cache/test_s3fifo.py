"""Slots after rows were dropped; `tests/caches` compares all else with the plain form."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.storage.cache.s3fifo import (
    BUCKETS,
    CAPACITY,
    NEXT,
    admit,
    drop_keys,
    empty_slots,
    find,
    place_of,
    touch,
)
from engramctl.storage.cache.slots import Slots


@given(
    st.integers(1, 12),
    st.lists(st.tuples(st.integers(0, 25), st.booleans()), max_size=200),
    st.sampled_from([1, 2]),
)
@settings(deadline=None, max_examples=100)
def test_a_row_is_in_one_slot_and_a_dropped_one_in_none(
    capacity: int, steps: list[tuple[int, bool]], key_words: int
) -> None:
    slots = Slots.empty(capacity, key_words)
    arrays = (slots.words, slots.state)
    of_slot: dict[int, int] = {}
    for row, dropped in steps:
        entry = find(row, slots.words, slots.state)
        assert (0 <= entry < slots.state[CAPACITY]) == (row in of_slot.values())
        if dropped:
            drop_keys(np.array([row]), 0, *arrays)
            of_slot = {slot: one for slot, one in of_slot.items() if one != row}
            assert find(row, slots.words, slots.state) == -1
        elif 0 <= entry < slots.state[CAPACITY]:
            touch(place_of(entry, slots.state), slots.words)
            assert of_slot[entry] == row
        else:
            slot = admit(row, entry, 0, *arrays)
            # Whoever was evicted is not found any more; a slot has one row.
            of_slot[slot] = row
            gone = [
                one for one in of_slot.values()
                if not 0 <= find(one, slots.words, slots.state) < capacity
            ]  # fmt: skip
            of_slot = {slot: one for slot, one in of_slot.items() if one not in gone}
        assert len(of_slot) == slots.rows <= capacity
    assert len(set(of_slot.values())) == len(of_slot) <= capacity


def test_the_slot_of_a_dropped_row_leaves_without_its_name() -> None:
    slots = Slots.empty(3)
    arrays = (slots.words, slots.state)
    admit(7, -1, 0, *arrays)
    drop_keys(np.array([7]), 0, *arrays)
    again = admit(7, -1, 0, *arrays)
    admit(8, -1, 0, *arrays)
    admit(9, -1, 0, *arrays)  # the first slot has to go
    assert find(7, slots.words, slots.state) == again


def longest_chain(slots: Slots) -> int:
    """The most entries that one look-up walks through."""
    buckets, longest = int(slots.state[BUCKETS]), 0
    for first in slots.words[:buckets].tolist():
        length, entry = 0, first
        while entry >= 0:
            length, entry = length + 1, int(slots.words[place_of(entry, slots.state) + NEXT])
        longest = max(longest, length)
    return longest


def test_dropped_rows_do_not_stand_in_one_chain() -> None:
    slots = Slots.empty(2000)
    arrays = (slots.words, slots.state)
    for row in range(2000):
        admit(row, -1, 0, *arrays)
    drop_keys(np.arange(2000), 0, *arrays)
    assert slots.rows == 0
    for row in range(5000, 8000):
        admit(row, -1, 0, *arrays)
    assert slots.rows == 2000
    assert longest_chain(slots) < 20


def test_memory_that_is_too_small_is_refused() -> None:
    with pytest.raises(ValueError, match="hold no 100 slots"):
        Slots.empty(100, 1, 0, np.empty(2000, np.uint8))


@given(st.lists(st.integers(0, 60), max_size=80))
@settings(deadline=None, max_examples=30)
def test_emptied_slots_are_as_new(rows: list[int]) -> None:
    slots, new = Slots.empty(20), Slots.empty(20)
    arrays = (slots.words, slots.state)
    for row in rows:
        entry = find(row, slots.words, slots.state)
        if not 0 <= entry < slots.state[CAPACITY]:
            admit(row, entry, 0, *arrays)
    drop_keys(np.arange(0, 60, 7), 0, *arrays)
    empty_slots(slots.words, slots.state)
    chains = int(slots.state[BUCKETS])
    assert np.array_equal(slots.words[:chains], new.words[:chains])
    assert np.array_equal(slots.state, new.state)
