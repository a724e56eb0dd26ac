"""Token ids as callers give them -> the arrays a walk takes."""

from math import prod
from typing import Any, Literal, NoReturn

import numpy as np
from numpy.typing import NDArray

from engramctl.hashing.walk.window import OUTSIDE, START

Check = Literal["now", "later"]
"""When token ids that no vocabulary has are told: by an error now, or by rows of -1."""
NO_ROW = -1  # of a window with such an id

_INT64 = np.dtype(np.int64)
_AS_THEY_ARE = (_INT64, np.dtype(np.int32))


def is_later(check: Check) -> bool:
    """Tell whether token ids outside the vocabulary become rows of -1.

    Raises:
        ValueError: `check` is neither word.
    """
    if check not in ("now", "later"):
        raise ValueError(f"check must be 'now' or 'later', not {check!r}")
    return check == "later"


def as_batch(tokens: NDArray[Any], later: bool = False) -> NDArray[Any]:
    """Return (B, T) contiguous, int32 or int64, of integers (..., T).

    Raises:
        ValueError: not integers, or no axis; ids of 64 bits, unless `later`: then they are OUTSIDE.
    """
    if tokens.ndim == 2 and tokens.dtype in _AS_THEY_ARE and tokens.flags.c_contiguous:
        return tokens  # what a decode step gives; its time counts in nanoseconds
    if not tokens.size:
        tokens = tokens.astype(np.int64)  # an empty list has no dtype of its own
    if tokens.dtype.kind not in "iu" or tokens.ndim < 1:
        raise ValueError(
            f"token ids must be integers of shape (..., T), not {tokens.dtype} {tokens.shape}"
        )
    if tokens.dtype not in _AS_THEY_ARE:
        tokens = _signed(tokens, "token ids", later)
    return np.ascontiguousarray(tokens.reshape(flat_shape(tokens.shape)))


def flat_shape(shape: tuple[int, ...]) -> tuple[int, int]:
    """Return (B, T) of (..., T), whatever of it is 0.

    Example:
        >>> flat_shape((0,)), flat_shape((2, 0, 3))
        ((1, 0), (0, 3))
    """
    return prod(shape[:-1]), shape[-1]


def _signed(ids: NDArray[Any], name: str, later: bool) -> NDArray[np.int64]:
    """Return ids as int64.

    Raises:
        ValueError: an id of 64 bits, which would come back as a negative one.
    """
    if ids.dtype.kind == "u" and ids.size and int(ids.max()) >= 2**63:
        if not later:
            raise ValueError(f"{name} must be below 2^63, not {int(ids.max())}")
        ids = np.minimum(ids, np.uint64(OUTSIDE))
    return ids.astype(np.int64)


def padded_history(
    history: Any, batch: int, context: int, later: bool = False
) -> NDArray[np.int64]:
    """Return exactly `context` ids before each sequence, START where there is none.

    The caller's own array comes back when it is that already.

    Args:
        history: integers (..., C), oldest first, or None; only the last `context` count.
        batch: B.
        context: N - 1.
        later: ids of 64 bits are OUTSIDE, and no error.

    Returns:
        int64 (B, context).

    Raises:
        ValueError: not integers, or another number of sequences.
    """
    if (
        type(history) is np.ndarray
        and history.shape == (batch, context)
        and history.dtype == _INT64
        and history.flags.c_contiguous
    ):
        return history
    padded_BC = np.full((batch, context), START, np.int64)
    if history is None:
        return padded_BC
    past = np.asarray(history)
    if past.size and past.dtype.kind not in "iu":
        raise ValueError(f"history must be integers, not {past.dtype}")
    past = _signed(past, "history", later) if past.size else past
    past = past.reshape(-1, past.shape[-1])[:, -context:] if past.size else past.reshape(0, 0)
    if past.size and len(past) != batch:
        raise ValueError(f"history has {len(past)} sequences, token ids have {batch}")
    if past.size:
        padded_BC[:, context - past.shape[1] :] = past
    return padded_BC


def output(
    out: Any,
    shape: tuple[int, ...],
    dtype: np.dtype[Any],
    num_rows: int,
    negative: str | None = None,
) -> NDArray[Any]:
    """Return `out` when it fits, or a new array.

    Args:
        out: where to write, or None.
        shape: that it must have.
        dtype: of a new array.
        num_rows: row ids lie below it.
        negative: what -1 means; None: it is never written.

    Raises:
        ValueError: `out` is no array, has another shape, holes, a dtype that cannot hold every row
            id or -1, or may not be written.
    """
    if out is None:
        return np.empty(shape, dtype)
    if not isinstance(out, np.ndarray):
        raise ValueError(f"out must be an array, as the token ids are, not {type(out).__name__}")
    if out.shape != shape or not out.flags.c_contiguous:
        raise ValueError(f"out must be C-contiguous of shape {shape}, not {out.shape}")
    if out.dtype != dtype and not _holds(out.dtype, num_rows):
        raise ValueError(f"out must hold row ids below {num_rows:,}; {out.dtype} does not")
    if negative and out.dtype.kind != "i":
        raise ValueError(f"out must be signed, for -1 means {negative}; not {out.dtype}")
    if not out.flags.writeable:
        raise ValueError("out is read-only")
    checked: NDArray[Any] = out
    return checked


def _holds(dtype: np.dtype[Any], num_rows: int) -> bool:
    return dtype.kind in "iu" and dtype.isnative and np.iinfo(dtype).max >= num_rows - 1


def refuse_id(
    ids_BS: NDArray[np.integer[Any]], bad: int, context: int, vocab_size: int
) -> NoReturn:
    """Raise the ValueError that names an id no walk can take.

    Args:
        ids_BS: token ids, `context` positions of history first.
        bad: flat index of the id.
        context: N - 1.
        vocab_size: ids of the vocabulary.
    """
    sequence, position = divmod(bad, ids_BS.shape[1])
    raise ValueError(
        f"token id {int(ids_BS[sequence, position])} at sequence {sequence}, position "
        f"{position - context} is outside the vocabulary of {vocab_size:,} ids"
    )
