"""Pages taken and given back in runs: no page is two callers', and none is lost."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.errors import StorageError
from engramctl.storage.memory.slab import PAGE, Slab

PAGES = 24


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_runs_never_overlap_and_all_pages_come_back(data: st.DataObject) -> None:
    slab = Slab(PAGES)
    held: list[tuple[int, int]] = []
    for _ in range(data.draw(st.integers(1, 30))):
        gives: bool = data.draw(st.booleans())
        if held and gives:
            slab.give(*held.pop(data.draw(st.integers(0, len(held) - 1))))
        else:
            count = data.draw(st.integers(1, 9))
            first = slab.take(count)
            if first is not None:
                held.append((first, count))
        pages = [page for first, count in held for page in range(first, first + count)]
        assert len(pages) == len(set(pages))
        assert all(0 <= page < PAGES for page in pages)
        assert slab.free_pages == PAGES - len(pages)
    for run in held:
        slab.give(*run)
    assert slab.take(PAGES) == 0


def test_a_run_is_memory_at_the_address_that_is_told() -> None:
    slab = Slab(PAGES)
    first = slab.take(3)
    assert first is not None
    assert slab.bytes(first, 3).ctypes.data == slab.at(first) == slab.address + first * PAGE
    assert len(slab.words(first, 3)) == 3 * PAGE // 8


@pytest.mark.parametrize("pages", [1 << 49, 1 << 60])
def test_memory_that_the_system_does_not_give_is_an_error_in_words(pages: int) -> None:
    with pytest.raises(StorageError, match="gives no memory for rows from disk") as told:
        Slab(pages)
    assert told.value.facts["asked for"] == f"{pages * PAGE:,} bytes"
