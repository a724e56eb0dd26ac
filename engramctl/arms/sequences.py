"""An arm that reads whole sequences of mixed lengths, a wave at a time."""

from collections.abc import Mapping
from functools import partial

import torch

from engramctl.arms.arm import Arm
from engramctl.arms.ground import Ground, synchronise
from engramctl.arms.model_input import model_tokens
from engramctl.arms.subject import Subject
from engramctl.arms.waits import Waits
from engramctl.arms.wave import Wave
from engramctl.arms.window import Window
from engramctl.fusion.rows_to_read import RowsToRead
from engramctl.model.decoder import Decoder, RowSource
from engramctl.model.graphed import why_not

Outputs = Mapping[int, torch.Tensor]


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
