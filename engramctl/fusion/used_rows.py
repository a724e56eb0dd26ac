"""Which of the rows that a scheme names a model uses; the others are read for nothing.

A dictionary names no row where nothing matches; LongCat leaves special tokens as they are, and in
LongCat-Next slot 0 stands for nothing. Shapes: B sequences, T tokens, H hash heads.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.hashing import Lookup, Scheme
from engramctl.hashing.dictionary.dictionary_scheme import NO_MATCH

_SLOT_0_IS_NOTHING = "longcat-next"


@dataclass(frozen=True)
class UsedRows:
    """Row ids to read, and what the model makes of them.

    Attributes:
        row_ids_BTH: all inside the table; a token without a row reads row 0, so that every step has
            the same shape, as an engine's captured graph must.
        tokens_BT: bool; False: the token takes nothing of its rows. None: every token does.
        heads_BTH: bool; False: the head's row counts as zeros. None: every row counts.
    """

    row_ids_BTH: NDArray[np.integer[Any]]
    tokens_BT: NDArray[np.bool_] | None = None
    heads_BTH: NDArray[np.bool_] | None = None


def used_rows(
    scheme: Lookup,
    layer: int,
    token_ids_BT: NDArray[np.integer[Any]],
    row_ids_BTH: NDArray[np.integer[Any]],
) -> UsedRows:
    """Return which of the rows of `scheme.row_ids(token_ids_BT, layer)` a model uses.

    Args:
        scheme: of either kind.
        layer: of the scheme.
        token_ids_BT: token ids; negative ones (masked) take nothing where the scheme knows masks.
        row_ids_BTH: what the scheme named.

    Example:
        >>> from engramctl.hashing import DictionaryScheme
        >>> scheme = DictionaryScheme.of([(5, 9)], vocab_size=10)
        >>> ids = np.array([[5, 9]])
        >>> used_rows(scheme, 0, ids, scheme.row_ids(ids, 0)).tokens_BT.tolist()
        [[False, True]]
    """
    if not isinstance(scheme, Scheme):
        matched_BTH = row_ids_BTH != NO_MATCH
        return UsedRows(np.maximum(row_ids_BTH, 0), matched_BTH[..., 0])
    tokens_BT = None
    if scheme.boundary.negative == "dead" and bool((token_ids_BT < 0).any()):
        tokens_BT = token_ids_BT >= 0
    for first, stop in scheme.canonical.zeroed:
        outside_BT = (token_ids_BT < first) | (token_ids_BT >= stop)
        tokens_BT = outside_BT if tokens_BT is None else tokens_BT & outside_BT
    heads_BTH = None
    if scheme.name == _SLOT_0_IS_NOTHING:
        offsets_H = np.array([head.offset for head in scheme.layer_hash(layer).heads])
        heads_BTH = row_ids_BTH != offsets_H
    return UsedRows(row_ids_BTH, tokens_BT, heads_BTH)
