"""N-grams of a batch, each once, however many they are."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engramctl.storage.record_log.distinct import first_of_each

NGRAM = st.tuples(st.integers(0, 2), st.integers(0, 2), st.sampled_from([0, 1, 2**64 - 1]))


@given(st.lists(NGRAM, max_size=80))
def test_the_first_place_of_each_is_given(ngrams: list[tuple[int, int, int]]) -> None:
    orders = np.array([one[0] for one in ngrams], np.int64)
    keys = np.array([one[1:] for one in ngrams], np.uint64).reshape(-1, 2)
    wanted = [place for place, one in enumerate(ngrams) if one not in ngrams[:place]]
    assert first_of_each(orders, keys).tolist() == wanted
