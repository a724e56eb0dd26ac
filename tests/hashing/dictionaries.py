"""Small dictionaries of any orders and boundaries, and tokens to look up in them."""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from engramctl.hashing import DEAD, START, DictionaryScheme
from engramctl.hashing.walk.window import Boundary

VOCAB = 6  # few ids, so that long n-grams match too
STOPS = Boundary(fill=0, stop=(2,))
DEADS = Boundary(fill=1, stop=(DEAD,), block=(DEAD,), negative="dead")
SMALL = DictionaryScheme.of([(5, 4), (3, 5, 4), (1, 2, 3, 5, 4), (0, 0)], vocab_size=VOCAB)


@st.composite
def dictionaries(draw: st.DrawFn, boundary: Boundary | None = None) -> DictionaryScheme:
    """Any orders, any n-grams of them; suffixes of each other are common in six ids."""
    boundary = boundary or draw(st.sampled_from([Boundary(0), STOPS, DEADS]))
    orders = sorted(draw(st.sets(st.integers(2, 6), min_size=1)))
    token_map = draw(st.sampled_from([None, np.array([3, 1, 0, 2, 4, 5, 0, 1])]))
    free = [one for one in range(VOCAB) if one not in boundary.stop]
    body = st.sampled_from(free)
    ngrams = st.integers(0, len(orders) - 1).flatmap(
        lambda k: st.tuples(*[body] * (orders[k] - 1), st.integers(0, VOCAB - 1))
    )
    listed = draw(st.lists(ngrams, max_size=60, unique=True))
    vocabulary: dict[str, Any] = {"vocab_size": VOCAB} if token_map is None else {}
    return DictionaryScheme.of(
        listed, orders=orders, boundary=boundary, token_map=token_map, **vocabulary
    )


@st.composite
def tokens_for(draw: st.DrawFn, scheme: DictionaryScheme) -> NDArray[np.int64]:
    shape = draw(st.tuples(st.integers(1, 3), st.integers(1, 14)))
    low = DEAD if scheme.boundary.negative == "dead" else 0
    one = st.one_of(st.integers(low, scheme.vocab_size - 1), st.just(START))
    flat = draw(st.lists(one, min_size=shape[0] * shape[1], max_size=shape[0] * shape[1]))
    return np.array(flat, np.int64).reshape(shape)
