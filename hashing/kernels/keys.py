"""Exact n-gram keys: the window itself, packed into 128 bits."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.hashing.kernels import reference
from engramctl.hashing.kernels.plan import IdRules
from engramctl.hashing.walk.batch import as_batch, padded_history, refuse_id
from engramctl.hashing.walk.window import window

WORD_BITS = 64
MOST_KEY_BITS = 2 * WORD_BITS


def id_bits(num_canonical: int) -> int:
    """Return the bits of one id in a key.

    Example:
        >>> id_bits(99_092)
        17
    """
    return max(1, (num_canonical - 1).bit_length())


def pack_windows(
    walk: Sequence[NDArray[np.int64]], orders: Sequence[int], num_canonical: int
) -> NDArray[np.uint64]:
    """Pack the windows of every order.

    The key of order n is the sum over d < n of c_d * 2^(b*d), with b the bits of the largest
    canonical id; c_0 is the current token.

    Args:
        walk: N arrays int64 (B, T), the ids at distances 0..N-1.
        orders: ascending, the last one N.
        num_canonical: ids lie in [0, num_canonical).

    Returns:
        uint64 (B, T, len(orders), 2): low word, high word, order by order.

    Raises:
        ValueError: negative ids, or windows of more than 128 bits.
    """
    bits = id_bits(num_canonical)
    if bits * len(walk) > MOST_KEY_BITS:
        raise ValueError(f"a window of {len(walk)} ids of {bits} bits exceeds {MOST_KEY_BITS} bits")
    keys = np.zeros((*walk[0].shape, len(orders), 2), np.uint64)
    for distance, ids_BT in enumerate(walk):
        if int(ids_BT.min(initial=0)) < 0:
            raise ValueError("negative ids have no exact n-gram key")
        shift, value = bits * distance, ids_BT.astype(np.uint64)[..., None]
        first = sum(order <= distance for order in orders)
        if shift < WORD_BITS:
            keys[..., first:, 0] |= value << np.uint64(shift)
            if shift + bits > WORD_BITS:
                keys[..., first:, 1] |= value >> np.uint64(WORD_BITS - shift)
        else:
            keys[..., first:, 1] |= value << np.uint64(shift - WORD_BITS)
    return keys


def window_keys(
    rules: IdRules, orders: Sequence[int], token_ids: Any, history: Any
) -> NDArray[np.uint64]:
    """Walk back from every position and pack the windows; see `Scheme.ngram_keys`.

    Args:
        rules: token map and boundary.
        orders: ascending, the last one N.
        token_ids: integers (..., T).
        history: integers (..., C) before them, or None.

    Returns:
        uint64 (..., T, len(orders), 2).
    """
    tokens = np.asarray(token_ids)
    tokens_BT = as_batch(tokens)
    history_BC = padded_history(history, len(tokens_BT), orders[-1] - 1)
    ids_BS = np.concatenate([history_BC, tokens_BT.astype(np.int64)], axis=1)
    bad = reference.first_bad_id(ids_BS, rules)
    if bad >= 0:
        refuse_id(ids_BS, bad, orders[-1] - 1, rules.canonical.num_ids)
    walk = window(reference.canonicalise(ids_BS, rules), rules.boundary, orders[-1])
    keys = pack_windows(walk, orders, rules.canonical.num_canonical)
    return keys.reshape(*tokens.shape, len(orders), 2)
