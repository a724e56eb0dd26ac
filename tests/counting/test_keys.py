import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.counting import reference
from engramctl.counting.keys import (
    BUCKET_BITS,
    KeyLayout,
    bucket,
    first_pair,
    partition_bits,
    shifted,
)
from engramctl.counting.records import record
from engramctl.errors import ConfigError

ids32 = st.integers(0, 2**32 - 1)


@settings(deadline=None)  # the first example compiles
@given(ids32, ids32)
def test_the_compiled_bucket_and_the_plain_one_agree(first: int, second: int) -> None:
    expected = reference.bucket([first, second])
    assert 0 <= expected < 2**12
    assert int(bucket(np.uint64(first), np.uint64(second))) == expected


def test_the_bucket_is_the_documented_one() -> None:
    # Kept digits: changing them changes every counts file.
    assert reference.bucket([5, 6]) == 1985
    assert reference.bucket([129_279, 70_000, 3]) == 3682
    assert reference.bucket([7]) == 0


def layouts() -> st.SearchStrategy[KeyLayout]:
    """Layouts of every order, narrow and wide, with enough partitions and more."""

    def with_bits(order: int, end_id: int) -> st.SearchStrategy[KeyLayout]:
        least = partition_bits(order, end_id.bit_length(), 0, 1)
        return st.builds(
            KeyLayout, st.just(order), st.just(end_id), st.integers(least, BUCKET_BITS)
        )

    def of_order(order: int) -> st.SearchStrategy[KeyLayout]:
        most = 2**28 - 1 if order == 5 else 2**32
        ends = st.integers(1, most) | st.integers(0, 27).map(lambda bits: 2**bits)
        return ends.flatmap(lambda end_id: with_bits(order, end_id))

    return st.integers(2, 5).flatmap(of_order)


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_record_and_its_partition_give_back_the_ngram_and_ascend_as_rows_do(
    data: st.DataObject,
) -> None:
    layout = data.draw(layouts())
    top = layout.end_id - 1
    ids = st.integers(0, top) | st.integers(max(0, top - 2), top)
    found = []
    for _ in range(2):
        length = data.draw(st.integers(1, layout.order))
        window = data.draw(st.lists(ids, min_size=length, max_size=length))
        full = window + [layout.end_id] * (layout.order - length)
        bits = np.uint64(layout.id_bits)
        low_bits = np.uint64(BUCKET_BITS - layout.partition_bits)
        partition, hi, lo = record(
            np.array(window, np.uint32), 0, length, (0,) * layout.order, np.uint64(layout.end_id),
            low_bits, bits,
        )  # fmt: skip
        assert (int(hi) << 64 | int(lo)).bit_length() <= layout.record_bits
        assert int(partition) == reference.bucket(full) >> int(low_bits)
        back: list[int] = []
        high, low = np.uint64(hi), np.uint64(lo)
        for _ in range(layout.order - 2):
            back.insert(0, int(low) & (2**layout.id_bits - 1))
            high, low = map(np.uint64, shifted(high, low, bits))
        back = [*map(int, first_pair(low, np.uint64(partition), low_bits, bits)), *back]
        assert back == full
        found.append(((int(partition), int(hi), int(lo)), (reference.bucket(full), full)))
    (one, one_row), (two, two_row) = found
    assert (one < two) == (one_row < two_row)


@pytest.mark.parametrize(
    ("order", "end_id", "words"),
    [(2, 2**32, 1), (4, 129_280, 1), (4, 2**19 - 1, 1), (4, 2**19, 2), (5, 129_280, 2),
     (4, 2**32, 2), (5, 2**28 - 1, 2)],
)  # fmt: skip
def test_only_records_beyond_64_bits_take_two_words(order: int, end_id: int, words: int) -> None:
    bits = partition_bits(order, end_id.bit_length(), 0, 1)
    assert KeyLayout(order, end_id, bits).record_words == words


def test_partitions_are_enough_for_the_surplus_bits_and_grow_with_the_corpus() -> None:
    assert partition_bits(2, 17, 100, 1 << 16) == 1
    assert partition_bits(4, 17, 100, 1 << 16) == 4
    assert partition_bits(4, 19, 100, 1 << 16) == 12
    assert partition_bits(2, 17, 1 << 25, 1 << 16) == 10
    assert partition_bits(2, 17, 1 << 50, 1 << 16) == 12


def test_order_five_of_ids_above_28_bits_is_refused() -> None:
    with pytest.raises(ConfigError):
        partition_bits(5, 29, 100, 1 << 16)
