"""An interrupted call writes no row id any more: the array may be somebody else's then."""

import numpy as np
import pytest

from engramctl.hashing import DictionaryScheme, Lookup, make_scheme
from engramctl.hashing.dictionary import longest_match
from engramctl.hashing.kernels import cpu
from tests.helpers.held_workers import HeldWorkers, interrupted_once

SCHEMES: dict[str, Lookup] = {
    "engram": make_scheme("engram", vocab_size=64, slots=97, heads_per_order=2),
    "dictionary": DictionaryScheme.of([(1, 2), (2, 3), (1, 2, 3)], vocab_size=64),
}


@pytest.mark.parametrize("name", SCHEMES)
def test_no_thread_writes_row_ids_when_the_call_is_over(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    scheme, held = SCHEMES[name], HeldWorkers(2)
    for module in (cpu, longest_match):
        monkeypatch.setattr(module, "WORKERS", held)
    ids = np.ones(1 << 19, np.int64)
    layer = scheme.layers[0]
    heads = scheme.row_ids(ids[:1], layer).shape[-1]
    out = np.full((len(ids), heads), -7, np.int64)
    with interrupted_once(held.taken):
        scheme.row_ids(ids, layer, out=out)
    held.go.set()
    held.shutdown()
    assert (out == -7).all()
