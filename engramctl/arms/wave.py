"""A wave of sequences of mixed lengths: which tokens are read, and in which calls of a model.

The paper's offload test does not say how its sequences were batched. Here a wave of them starts
together: what even the shortest has is read at once, then every sequence goes on a token at a time
until it ends, the batch shrinking as they do. Every wave has the same lengths, spread evenly over
the range, so that all samples are of as many tokens.

Shapes: B sequences of a wave, T tokens of the longest, C tokens before a window.
"""

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.arms.subject import Subject
from engramctl.arms.window import Window
from engramctl.fusion.rows_to_read import RowsToRead


def spread_lengths(count: int, shortest: int, longest: int) -> NDArray[np.int64]:
    """Return the lengths of a wave, the longest first: spread evenly from shortest to longest.

    Example:
        >>> spread_lengths(3, 100, 1024).tolist(), spread_lengths(1, 100, 1024).tolist()
        ([870, 562, 254], [562])
    """
    places = (np.arange(count)[::-1] + 0.5) / count
    return np.rint(shortest + (longest - shortest) * places).astype(np.int64)


def num_calls(count: int, shortest: int, longest: int) -> int:
    """Return how often the model is called for a wave: once for what all have, then a step each.

    Example:
        >>> num_calls(3, 100, 1024), num_calls(1, 100, 1024)
        (617, 1)
    """
    lengths = spread_lengths(count, shortest, longest)
    return 1 + int(lengths[0] - lengths[-1])


class Wave:
    """The sequences of a window, each cut to its own length, the longest first.

    Attributes:
        lengths: int64 (B,), descending.
        common: tokens that every one of them has, read in one call.
        most: tokens of the window, as many as the longest may have.
    """

    def __init__(self, window: Window, shortest: int, longest: int) -> None:
        """Take the tokens; lengths are spread over the range."""
        self._window = window
        batch, self.most = window.token_ids_BT.shape
        self.lengths = spread_lengths(batch, shortest, longest)
        self.common = int(self.lengths[-1])

    @property
    def steps(self) -> range:
        """Positions that are decoded; those before are one prefill."""
        return range(self.common, int(self.lengths[0]))

    def active(self, position: int) -> int:
        """Return how many sequences have a token at a position; they stand first."""
        return int((self.lengths > position).sum())

    def calls(self) -> Iterator[tuple[int, int, int]]:
        """Yield the calls of a model: the first position, the one after the last, sequences."""
        yield 0, self.common, len(self.lengths)
        for position in self.steps:
            yield position, position + 1, self.active(position)

    def ids(self, subject: Subject, start: int, end: int, active: int) -> RowsToRead:
        """Hash the tokens of some positions of the first `active` sequences."""
        window = self._window
        before = window.history_BC.shape[1]
        line = np.concatenate([window.history_BC[:active], window.token_ids_BT[:active, :end]], 1)
        return subject.row_ids(line[:, start + before :], line[:, start : start + before])

    def all_ids(self, subject: Subject) -> dict[int, NDArray[np.integer[Any]]]:
        """Return layer -> the rows of every token that is read, (tokens, H); of no padding."""
        has_token_BT = np.arange(self.most) < self.lengths[:, None]
        ids = self.ids(subject, 0, self.most, len(self.lengths))
        return {layer: ids_BTH[has_token_BT] for layer, ids_BTH in ids.items()}
