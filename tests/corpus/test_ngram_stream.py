"""Text of a dictionary's n-grams."""

import numpy as np

from engramctl.corpus.ngram_stream import NgramStream, ngram_stream
from engramctl.hashing import DictionaryScheme, make_scheme


def test_text_of_a_dictionary_is_token_ids_and_its_map_gives_the_ngrams() -> None:
    scheme = DictionaryScheme.of([(1, 2), (2, 2, 0)], token_map=np.array([2, 2, 0, 1]))
    ids = NgramStream(scheme).ids(np.array([1, 0]), 5)
    assert ids.tolist() == [0, 0, 2, 3, 0]
    assert scheme.row_ids(ids, 0)[:, 0].tolist() == [-1, -1, 1, -1, 0]


def test_other_schemes_and_an_empty_dictionary_have_no_such_text() -> None:
    assert ngram_stream(make_scheme("longcat")) is None
    assert ngram_stream(DictionaryScheme.of([], vocab_size=9)) is None
