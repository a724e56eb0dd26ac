import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.mining import reference
from engramctl.mining.count import _row_order
from engramctl.mining.keys import KeyLayout, mix, pack, partition_bits, unpack
from engramctl.mining.wide import mix_arrays

ids32 = st.integers(0, 2**32 - 1)


def words(token_ids: list[int]) -> tuple[np.uint64, np.uint64]:
    key = 0
    for token in token_ids:
        key = key << 32 | token
    return np.uint64(key >> 64), np.uint64(key & (2**64 - 1))


@settings(deadline=None)  # the first example compiles
@given(st.lists(ids32, min_size=1, max_size=4))
def test_the_compiled_mix_the_array_mix_and_the_plain_one_agree(token_ids: list[int]) -> None:
    hi, lo = words(token_ids)
    expected = reference.mix(token_ids)
    assert int(mix(hi, lo)) == expected
    assert int(mix_arrays(np.array([hi]), np.array([lo]))[0]) == expected


def test_the_mix_is_the_documented_one() -> None:
    # Kept digits: changing them changes every counts file.
    assert reference.mix([1]) == 0xB456BCFC34C2CB2C
    assert reference.mix([1, 2]) == reference.fmix64(1 << 32 | 2)
    assert reference.mix([5, 6, 7, 8]) == 0x172021CDF61953EA


@given(st.data())
@settings(max_examples=300, deadline=None)
def test_a_record_and_its_partition_give_back_the_ngram(data: st.DataObject) -> None:
    order = data.draw(st.integers(1, 4))
    most = {1: 32, 2: 32, 3: 25, 4: 19}[order]
    id_bits = data.draw(st.integers(1, most))
    surplus = KeyLayout(order, id_bits, 12).surplus_bits
    bits = data.draw(st.integers(max(1, surplus), 12))
    layout = KeyLayout(order, id_bits, bits)
    assert not layout.wide
    ids = st.integers(0, 2**id_bits - 1)
    hi, lo = words(data.draw(st.lists(ids, min_size=order, max_size=order)))
    packing = np.uint64(id_bits), np.uint64(surplus)
    record = pack(hi, lo, order, *packing)
    partition = np.uint64(mix(hi, lo)) >> np.uint64(64 - bits)
    back = unpack(np.uint64(record), order, *packing, partition, np.uint64(bits))
    assert (int(back[0]), int(back[1])) == (int(hi), int(lo))


@pytest.mark.parametrize(
    ("order", "id_bits", "wide"), [(2, 32, False), (3, 25, False), (3, 26, True), (4, 19, False),
                                   (4, 20, True), (4, 32, True)]
)  # fmt: skip
def test_only_keys_beyond_76_bits_take_two_words(order: int, id_bits: int, wide: bool) -> None:
    assert KeyLayout(order, id_bits, 12).wide is wide


def test_partitions_are_enough_for_the_surplus_bits_and_grow_with_the_corpus() -> None:
    assert partition_bits((1, 2), 17, 100, 1 << 16) == 1
    assert partition_bits((4,), 17, 100, 1 << 16) == 4
    assert partition_bits((4,), 19, 100, 1 << 16) == 12
    assert partition_bits((4,), 32, 100, 1 << 16) == 1
    assert partition_bits((2,), 17, 1 << 25, 1 << 16) == 10
    assert partition_bits((2,), 17, 1 << 50, 1 << 16) == 12


def test_equal_mixes_are_ordered_by_token_ids() -> None:
    mixes = np.array([9, 5, 5, 5, 1], np.uint64)
    ids = np.array([[0, 0], [3, 1], [2, 9], [2, 8], [7, 7]], np.uint32)
    assert _row_order(mixes, ids).tolist() == [4, 3, 2, 1, 0]
