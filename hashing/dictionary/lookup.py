"""Both kinds of scheme under one name, and the one door for scheme.json."""

from typing import Any

from engramctl.hashing.dictionary.dictionary_scheme import DictionaryScheme
from engramctl.hashing.scheme.scheme import Scheme

Lookup = Scheme | DictionaryScheme
"""Anything with `row_ids`; a dictionary gives -1 where nothing matches, a hash only where it is
asked to check token ids later."""


def lookup_from_dict(document: dict[str, Any]) -> Lookup:
    """Read scheme.json of either kind, derive every constant again and compare.

    Raises:
        ConfigError: as `Scheme.from_dict` and `DictionaryScheme.from_dict`.
    """
    if "ngrams" in document:
        return DictionaryScheme.from_dict(document)
    return Scheme.from_dict(document)
