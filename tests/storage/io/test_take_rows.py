"""Taking row ids in: copied, checked, counted, and never at a quadratic cost by their structure."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from engramctl.storage.io.take_rows import home_slot, take_rows

ROWS = 1 << 12
BITS = 13  # the table that `take_rows` makes for so many rows
FIBONACCI = [
    144,
    46_368,
    317_811,
    2_178_309,
    14_930_352,
    102_334_155,
]


def probes_a_row(rows: NDArray[np.int64]) -> float:
    """Count the slots that linear probing looks at beyond the first, as `take_rows` probes."""
    home = home_slot.py_func(rows.astype(np.uint64), np.uint64(64 - BITS))
    taken: set[int] = set()
    probes = 0
    for slot in home.tolist():
        while slot in taken:
            slot = (slot + 1) % (1 << BITS)
            probes += 1
        taken.add(slot)
    return probes / len(rows)


@pytest.mark.parametrize("step", [*(1 << k for k in range(0, 37, 3)), *FIBONACCI, 264, 999_983])
def test_rows_at_even_steps_are_found_in_a_few_probes(step: int) -> None:
    assert probes_a_row(np.arange(ROWS) * step) < 1.0


@given(
    st.lists(st.integers(0, 2**40 - 1), max_size=80),
    st.sampled_from([1, 4, 1 << 15]),
)
def test_rows_are_copied_and_distinct_ones_counted(ids: list[int], step: int) -> None:
    rows = np.array(ids, np.int64) // step * step
    copied = np.full(len(rows), -777)
    assert take_rows(rows, copied, 1 << 40) == len(set(rows.tolist()))
    assert np.array_equal(copied, rows)


@pytest.mark.parametrize("wrong", [-1, 100, 1 << 40])
def test_the_first_row_out_of_range_is_told(wrong: int) -> None:
    assert take_rows(np.array([0, 99, wrong, -5]), np.empty(4, np.int64), 100) == -1 - 2
