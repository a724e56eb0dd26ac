"""An arm that reads whole sequences of mixed lengths, a wave at a time.

The paper's offload test does not say how its sequences were batched. Here a wave of them starts
together: what even the shortest has is read at once, then every sequence goes on a token at a time
until it ends, the batch shrinking as they do. Every wave has the same lengths, spread evenly over
the range, so that all samples are of as many tokens.

Shapes: B sequences of a wave, T tokens of the longest, C tokens before a window.
"""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

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
        self._wave = wave = Wave(window, *self._range)
        batch = len(wave.lengths)
        self._model_ids = model_tokens(self._model, window)
        if not self._filled:
            self._state = self._model.new_state(batch, wave.most)
            self._filled = True
        self._state.position = 0
        for history in self._state.conv.values():
            history.zero_()
        self.rows = 0
        if self.subject is not None:
            every = wave.all_ids(self.subject)
            self.subject.prepare(every)
            self._out = {
                active: self.subject.outputs(self._ids_at(wave.common, wave.common + 1, active))
                for active in {wave.active(at) for at in wave.steps}
            }
            self._first = self.subject.outputs(self._ids_at(0, wave.common, batch))
            self.rows = sum(ids.size for ids in every.values())

    def run(self, waits: Waits) -> None:
        """Read the wave to its last token."""
        wave = self._wave
        batch = len(wave.lengths)
        ids = self._model_ids
        rows, mask_BT = self._rows(waits, 0, wave.common, batch, None)
        self._model.prefill(ids[:, : wave.common], self._state, rows, mask_BT)
        for position in wave.steps:
            active = wave.active(position)
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
        assert self.subject is not None
        return self._wave.ids(self.subject, start, end, active)

    def settle(self) -> None:
        """Compare the rows of the first call and of the last."""
        if self.subject is not None:
            self.subject.settle(self._ids)
            self.subject.check(self._first_ids, self._first)
            if self._ids is not self._first_ids:
                self.subject.check(self._ids, self._last)


class FollowWaveArm(Arm):
    """Gives a store what a `SequencesArm` asks another one for, call by call; as `FollowArm`."""

    subject: Subject

    def __init__(
        self, tier: str, subject: Subject, ground: Ground, lengths: tuple[int, int]
    ) -> None:
        """`lengths` are those of the shortest and the longest sequence."""
        super().__init__(tier, subject, ground)
        self._range = lengths

    def prepare(self, window: Window) -> None:
        """Take the wave."""
        self._wave = Wave(window, *self._range)

    def run(self, waits: Waits) -> None:
        """Gather what every call of the wave reads."""
        for call in self._wave.calls():
            ids = self._wave.ids(self.subject, *call)
            ticket = self.subject.store.prefetch(ids, ids.ngram_keys)
            self._ids, self._out = ids, self.subject.outputs(ids)
            for layer, out in self._out.items():
                ticket.wait(layer, out)

    def settle(self) -> None:
        """Compare the rows of the last call."""
        self.subject.check(self._ids, self._out)
