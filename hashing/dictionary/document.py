"""scheme.json of a dictionary: the n-gram list rests inside, as the token map does.

    "ngrams": {"num_ngrams": 2, "per_order": [1, 1], "sha256": "..", "list_zlib_base64": ".."}

The list is every length as uint8, then every id as little-endian int32 (`NgramList.facts`).
"""

from typing import Any

from engramctl.hashing.dictionary.dictionary_scheme import DictionaryScheme
from engramctl.hashing.dictionary.ngrams import NgramList
from engramctl.hashing.scheme.document import (
    ID_KEYS,
    SCHEMA,
    boundary_from_dict,
    boundary_to_dict,
    check_keys,
    compare,
    integers,
    values_checked,
    without_map,
)
from engramctl.hashing.walk.token_map import Canonical

_LIST = "list_zlib_base64"
_KEYS = {
    "": {"schema", "name", "orders", "canonical", "boundary", "ngrams", "store", "fuse", "layers"},
    **ID_KEYS,
    "ngrams": {"num_ngrams", "per_order", "sha256", _LIST},
    "store": {"row_dim", "dtype"},
    "fuse": {"kind"},
}


def dictionary_to_dict(scheme: DictionaryScheme) -> dict[str, Any]:
    """Return scheme.json: the list, and what follows from it."""
    document = _facts(scheme)
    document["canonical"] = scheme.canonical.to_dict()
    document["ngrams"][_LIST] = scheme.ngrams.packed()
    return document


def _facts(scheme: DictionaryScheme) -> dict[str, Any]:
    """Return scheme.json without n-grams and token map, of which it has the digests."""
    return {
        "schema": SCHEMA,
        "name": scheme.name,
        "orders": list(scheme.orders),
        "canonical": scheme.canonical.facts(),
        "boundary": boundary_to_dict(scheme.boundary),
        "ngrams": scheme.ngrams.facts(scheme.orders),
        "store": {"row_dim": scheme.row_dim, "dtype": scheme.dtype},
        "fuse": {"kind": scheme.fuse},
        "layers": [{"layer": layer, "num_rows": scheme.num_rows(layer)} for layer in scheme.layers],
    }


def dictionary_from_dict(document: dict[str, Any]) -> DictionaryScheme:
    """Read scheme.json of a dictionary, derive everything again and compare.

    Raises:
        ConfigError: unknown schema or key, a missing key, a value of the wrong type, or a derived
            value that differs (the first one is named).
    """
    with values_checked():
        check_keys(document, _KEYS)
        orders, stored = integers(document["orders"]), document["ngrams"]
        scheme = DictionaryScheme(
            ngrams=NgramList.unpacked(stored[_LIST], orders, stored),
            orders=orders,
            canonical=Canonical.from_dict(document["canonical"]),
            boundary=boundary_from_dict(document["boundary"]),
            layer_ids=integers([layer["layer"] for layer in document["layers"]]),
            row_dim=int(document["store"]["row_dim"]),
            dtype=str(document["store"]["dtype"]),
            fuse=str(document["fuse"]["kind"]),
        )
    # The packed text itself may differ: another zlib packs the same list in other bytes.
    facts = {name: value for name, value in stored.items() if name != _LIST}
    compare("scheme", {**without_map(document), "ngrams": facts}, _facts(scheme))
    return scheme
