"""The dictionary that a run fills: what is opened, and when there is none."""

import pytest

from engramctl.errors import ConfigError
from engramctl.hashing import DictionaryScheme, make_scheme
from engramctl.hashing.dictionary.ngrams import NgramList
from engramctl.hashing.walk.token_map import Canonical
from engramctl.measured.filled import fill_facts, self_filled
from engramctl.sweep.options import BenchOptions

FILLING = BenchOptions(cache="traffic", row_cache_bytes=1 << 20, fill="records.log")
SCHEME = make_scheme("deepseek-v41", slots=200)


def test_it_is_of_the_schemes_keys_and_of_the_usual_sizes() -> None:
    filled = self_filled(FILLING, SCHEME)
    assert filled is not None
    assert (filled.num_orders, filled.heads_per_order, filled.key_bits) == (
        len(SCHEME.orders), SCHEME.heads_per_order, SCHEME.key_bits,
    )  # fmt: skip
    assert fill_facts(filled, 7) == {
        "fill_size_bytes": 4 << 30, "write_budget_bytes": 1500, "fill_entries": 7,
    }  # fmt: skip
    assert set(fill_facts(None, None).values()) == {None}
    assert self_filled(BenchOptions(), SCHEME) is None


def test_a_scheme_without_keys_has_none() -> None:
    listed = DictionaryScheme(NgramList.of([(1, 2)]), (2,), Canonical.identity(9))
    with pytest.raises(ConfigError, match="has none") as error:
        self_filled(FILLING, listed)
    assert error.value.hint == "leave out --fill"
