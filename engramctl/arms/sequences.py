"""An arm that reads whole sequences of mixed lengths, a wave at a time.

The paper's offload test does not say how its sequences were batched. Here a wave of them starts
together: what even the shortest has is read at once, then every sequence goes on a token at a time
until it ends, the batch shrinking as they do. Every wave has the same lengths, spread evenly over
the range, so that all samples are of as many tokens.

Shapes: B sequences of a wave, T tokens of the longest, C tokens before a window.
"""

from collections.abc import Mapping
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.arms.arm import Arm
from engramctl.arms.ground import Ground, synchronise
from engramctl.arms.model_input import model_tokens
from engramctl.arms.subject import Subject
from engramctl.arms.waits import Waits
from engramctl.arms.window import Window
from engramctl.fusion.rows_to_read import RowsToRead
from engramctl.model.decoder import Decoder, RowSource
from engramctl.model.graphed import why_not

Outputs = Mapping[int, torch.Tensor]


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


class SequencesArm(Arm):
    """A sample is a wave: one prefill of the common part, then decode steps to the last token.

    A step asks for its rows at its start.
    """

    def __init__(
        self,
        tier: str,
        subject: Subject | None,
        ground: Ground,
        model: Decoder,
        lengths: tuple[int, int],
    ) -> None:
        """`lengths` are those of the shortest and the longest sequence; `subject` as in `Arm`."""
        super().__init__(tier, subject, ground)
        self._model = model
        self._range = lengths
        self.graphs = (False, why_not(model) or "the batch of a wave shrinks")
        self._state = model.new_state(1, 1)
        self._filled = False
        self._out: dict[int, dict[int, torch.Tensor]] = {}
        self._ids = RowsToRead({}, None, {})

    def prepare(self, window: Window) -> None:
        """Take the wave's tokens, empty the cache, poison the outputs.

        Of steps with as many sequences the outputs are the same tensors.
        """
        self._window = window
        batch, most = window.token_ids_BT.shape
        self._lengths = spread_lengths(batch, *self._range)
        self._common = int(self._lengths[-1])
        self._model_ids = model_tokens(self._model, window)
        if not self._filled:
            self._state = self._model.new_state(batch, most)
            self._filled = True
        self._state.position = 0
        for history in self._state.conv.values():
            history.zero_()
        self.rows = 0
        if self.subject is not None:
            self.subject.prepare(self._ids_at(0, most, batch))
            self._out = {
                active: self.subject.outputs(self._ids_at(self._common, self._common + 1, active))
                for active in {self._active(at) for at in self._steps}
            }
            self._first = self.subject.outputs(self._ids_at(0, self._common, batch))
            per_token = sum(out[0].shape[-2] for out in self._first.values())
            self.rows = per_token * int(self._lengths.sum())

    @property
    def _steps(self) -> range:
        """Positions that are decoded; those before are one prefill."""
        return range(self._common, int(self._lengths[0]))

    def _active(self, position: int) -> int:
        """Return how many sequences have a token at a position; they stand first."""
        return int((self._lengths > position).sum())

    def run(self, waits: Waits) -> None:
        """Read the wave to its last token."""
        batch = len(self._lengths)
        ids = self._model_ids
        rows, mask_BT = self._rows(waits, 0, self._common, batch, None)
        self._model.prefill(ids[:, : self._common], self._state, rows, mask_BT)
        for position in self._steps:
            active = self._active(position)
            state = self._state.first(active)
            rows, mask_BT = self._rows(waits, position, position + 1, active, self._out)
            mask_B = None if mask_BT is None else mask_BT[:, 0]
            self._model.decode(ids[:active, position], state, rows, mask_B)
            self._state.position = state.position
        synchronise(self._model.device)

    def _rows(
        self,
        waits: Waits,
        start: int,
        end: int,
        active: int,
        outs: Mapping[int, Outputs] | None,
    ) -> tuple[RowSource | None, torch.Tensor | None]:
        """Hash and prefetch for these positions; return what gives the rows, and the mask."""
        if self.subject is None:
            return None, None
        out = self._first if outs is None else outs[active]
        ids = self._ids_at(start, end, active)
        if outs is None:
            self._first_ids = ids
        ticket = self.subject.store.prefetch(ids, ids.ngram_keys)
        self._ids, self._last = ids, out

        def waited(layer: int, /) -> torch.Tensor:
            return ids.used(layer, waits.rows(layer, partial(ticket.wait, layer, out[layer])))

        return waited, ids.mask_BT

    def _ids_at(self, start: int, end: int, active: int) -> RowsToRead:
        """Hash the tokens of some positions of the first `active` sequences."""
        assert self.subject is not None
        window = self._window
        before = window.history_BC.shape[1]
        line = np.concatenate([window.history_BC[:active], window.token_ids_BT[:active, :end]], 1)
        return self.subject.row_ids(line[:, start + before :], line[:, start : start + before])

    def settle(self) -> None:
        """Compare the rows of the first call and of the last."""
        if self.subject is not None:
            self.subject.settle(self._ids)
            self.subject.check(self._first_ids, self._first)
            if self._ids is not self._first_ids:
                self.subject.check(self._ids, self._last)
