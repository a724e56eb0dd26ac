"""Decode state: the last token ids of each sequence, which is all a scheme remembers.

Engines lose rows when this state does not follow the request: a forked or reordered sequence, a
rejected draft, a reused prefix. It keeps token ids, not canonical ids, so one history serves every
scheme whose N is not larger. It lives on the host; `DeviceHistory` is for tensors of a device.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.hashing.walk.batch import as_batch
from engramctl.hashing.walk.window import START


class History:
    """The last ids of B sequences, START where there are none yet.

    `ids` goes in as `history=` of `Scheme.row_ids`. Memory: B * (context + max_roll_back) int64.

    Example:
        >>> from engramctl.hashing import make_scheme
        >>> scheme = make_scheme("engram", vocab_size=64, slots=97, heads_per_order=2)
        >>> history = History(scheme.max_order - 1)
        >>> first = scheme.row_ids([[5, 9]], 1, history.ids)
        >>> history.append([[5, 9]])
        >>> second = scheme.row_ids([[7]], 1, history.ids)
        >>> whole = scheme.row_ids([[5, 9, 7]], 1)
        >>> bool((np.concatenate([first, second], axis=1) == whole).all())
        True
    """

    def __init__(self, context: int, batch: int = 1, *, max_roll_back: int = 64) -> None:
        """Start `batch` empty sequences.

        Args:
            context: N - 1, the ids a scheme looks back.
            batch: B.
            max_roll_back: tokens that can be taken back in all; appending restores what
                taking back used up.

        Raises:
            ValueError: a negative number.
        """
        if context < 0 or batch < 0 or max_roll_back < 0:
            raise ValueError("context, batch and max_roll_back must not be negative")
        self.context = context
        self.max_roll_back = max_roll_back
        self._ids_BK = np.full((batch, context + max_roll_back), START, np.int64)
        self._lengths_B = np.zeros(batch, np.int64)  # tokens so far
        self._kept_B = np.zeros(batch, np.int64)  # of them, those still in _ids_BK

    @property
    def ids(self) -> NDArray[np.int64]:
        """The last `context` ids, oldest first, int64 (B, context); a copy."""
        return self._ids_BK[:, self.max_roll_back :].copy()

    @property
    def lengths(self) -> NDArray[np.int64]:
        """Tokens of each sequence so far, int64 (B,); a copy."""
        return self._lengths_B.copy()

    def append(self, token_ids: Any) -> None:
        """Remember the next tokens of every sequence.

        Args:
            token_ids: integers (B, T), or (T,) when there is one sequence.

        Raises:
            ValueError: not integers, or another number of sequences.
        """
        tokens_BT = as_batch(np.asarray(token_ids))
        if len(tokens_BT) != len(self._ids_BK):
            raise ValueError(
                f"history holds {len(self._ids_BK)} sequences, token ids have {len(tokens_BT)}"
            )
        size, length = self._ids_BK.shape[1], tokens_BT.shape[1]
        self._ids_BK = np.concatenate([self._ids_BK, tokens_BT], axis=1)[:, length:]
        self._lengths_B += length
        self._kept_B = np.minimum(self._kept_B + length, size)

    def roll_back(self, num_tokens: int | Sequence[int] | NDArray[np.integer[Any]]) -> None:
        """Forget the last tokens: of every sequence alike, or one number a sequence.

        Raises:
            ValueError: a negative number, more than the sequence has, or more than is kept; then
                nothing has changed.
        """
        wanted_B = np.broadcast_to(np.asarray(num_tokens, np.int64), self._lengths_B.shape)
        left_B = self._kept_B - wanted_B
        needed_B = np.minimum(self.context, self._lengths_B - wanted_B)
        bad_B = (wanted_B < 0) | (wanted_B > self._lengths_B) | (left_B < needed_B)
        if bad_B.any():
            b = int(np.argmax(bad_B))
            raise ValueError(
                f"cannot take back {int(wanted_B[b])} of {int(self._lengths_B[b])} tokens of "
                f"sequence {b}; {int(self._kept_B[b])} are kept, {self.context} of them as context"
            )
        size = self._ids_BK.shape[1]
        from_BK = np.arange(size) - wanted_B[:, None]
        moved_BK = np.take_along_axis(self._ids_BK, np.maximum(from_BK, 0), axis=1)
        self._ids_BK = np.where(from_BK < 0, START, moved_BK)
        self._lengths_B = self._lengths_B - wanted_B
        self._kept_B = left_B

    def select(self, sequences: Sequence[int] | NDArray[np.integer[Any]]) -> "History":
        """Return a new history of these sequences, in this order, each as often as named.

        Beam reordering, forks, joining and leaving a batch are all of this kind. The copy shares
        nothing with the original.

        Raises:
            IndexError: no such sequence.
        """
        chosen = np.asarray(sequences, np.int64)
        made = History(self.context, len(chosen), max_roll_back=self.max_roll_back)
        made._ids_BK = self._ids_BK[chosen]
        made._lengths_B = self._lengths_B[chosen]
        made._kept_B = self._kept_B[chosen]
        return made

    def fork(self) -> "History":
        """Return an independent copy."""
        return self.select(np.arange(len(self._ids_BK)))

    def reorder(self, sequences: Sequence[int] | NDArray[np.integer[Any]]) -> None:
        """Become `select(sequences)`, in place: a step of beam search."""
        made = self.select(sequences)
        self._ids_BK, self._lengths_B, self._kept_B = made._ids_BK, made._lengths_B, made._kept_B
