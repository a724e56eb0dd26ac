"""Arms that are a whole model step: without memory, with rows that are ready, with a store's.

An arm without a store does the untimed work of one with it, `beside` it: hashes, poisons, gathers
and checks. A busy machine gives less to who has just worked.
"""

import time
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from engramctl.arms.arm import Arm
from engramctl.arms.ground import Ground, synchronise
from engramctl.arms.subject import Subject
from engramctl.arms.waits import Waits
from engramctl.arms.window import Window
from engramctl.model.decoder import Decoder, RowSource
from engramctl.storage.tiers.ticket import Ticket


class StepArm(Arm):
    """A step: prefill of a prompt, or decode of one token a sequence."""

    def __init__(
        self,
        tier: str,
        subject: Subject | None,
        ground: Ground,
        model: Decoder,
        phase: str,
        context: int,
        *,
        beside: Subject | None = None,
        issue: str = "start",
        tail: bool = False,
    ) -> None:
        """Make the arm.

        Args:
            tier: the arm's name.
            subject: the store that is read; None: no memory.
            ground: under every sample.
            model: that makes the step.
            phase: decode or prefill.
            context: tokens that fill the KV cache before a decode step.
            beside: whose untimed work an arm without a store does.
            issue: when the rows are asked for, of ISSUES.
            tail: whether the step before it ends first, untimed: its output projection is made.
        """
        super().__init__(tier, subject, ground)
        self._checked = beside if subject is None else subject
        self._model = model
        self._phase = phase
        self._context = context if phase == "decode" else 0
        self._issue = issue
        self._tail = tail
        self._state = model.new_state(1, 1)
        self._filled = False
        self._ids: dict[int, NDArray[np.int64]] = {}
        self._out: dict[int, torch.Tensor] = {}
        self._ticket: Ticket | None = None

    def prepare(self, window: Window) -> None:
        """Rewind the cache to its context; poison the outputs."""
        self._window = window
        batch, tokens = window.token_ids_BT.shape
        vocab_size = self._model.config.vocab_size
        self._model_ids = torch.from_numpy(window.token_ids_BT % vocab_size).to(self._model.device)
        if not self._filled:
            self._state = self._model.new_state(batch, self._context + tokens)
            self._state.kv.normal_(generator=torch.Generator(self._model.device).manual_seed(0))
            self._filled = True
        self._state.position = self._context
        if self._checked is not None:
            self._ids = self._checked.row_ids(window.token_ids_BT, window.history_BC)
            self._out = self._checked.outputs(self._ids)
            self._checked.prepare(self._ids)
        if self.subject is not None:
            self.rows = sum(ids.size for ids in self._ids.values())

    def lead(self) -> int:
        """Ask for the rows where that comes before the step, then end the step before it."""
        asks = self._issue == "before" and self.subject is not None
        if asks:
            self._ticket = self._asked()
        asked = time.perf_counter_ns()
        if self._tail:
            self.end_last_step()
        return time.perf_counter_ns() - asked if asks else 0

    def end_last_step(self) -> None:
        """Make the output projection of the step before: what a caller has left to do there."""
        model = self._model
        last = model.embedding[self._model_ids[:, -1]]
        with torch.inference_mode():
            F.linear(model.norm(last), model.head)
        synchronise(model.device)

    def run(self, waits: Waits) -> None:
        """Run the model, with rows where it has a memory."""
        rows = self._rows(waits)
        if self._phase == "decode":
            self._model.decode(self._model_ids[:, 0], self._state, rows)
        else:
            self._model.prefill(self._model_ids, self._state, rows)
        synchronise(self._model.device)

    def _rows(self, waits: Waits) -> RowSource | None:
        """Return what gives the model its rows; asks for them where the step does that first."""
        if self.subject is None:
            return None
        if self._issue == "layer":
            return lambda layer, /: waits.rows(layer, partial(self._rows_of, layer))
        ticket = self._asked() if self._ticket is None else self._ticket
        self._ticket = None
        return lambda layer, /: waits.rows(layer, partial(ticket.wait, layer, self._out[layer]))

    def _asked(self) -> Ticket:
        """Hash for all layers and prefetch."""
        assert self.subject is not None
        window = self._window
        ids = self.subject.row_ids(window.token_ids_BT, window.history_BC)
        return self.subject.store.prefetch(ids)

    def _rows_of(self, layer: int) -> torch.Tensor:
        """Hash for one layer, and fetch."""
        assert self.subject is not None
        window = self._window
        ids = self.subject.scheme.row_ids(window.token_ids_BT, layer, window.history_BC)
        return self.subject.store.prefetch({layer: ids}).wait(layer, self._out[layer])

    def settle(self) -> None:
        """Compare the rows: those of the step, or without a memory those gathered now."""
        if self._checked is None:
            return
        if self.subject is None:
            self._gather(self._checked)
        self._checked.settle(self._ids)
        self._checked.check(self._ids, self._out)

    def _gather(self, subject: Subject) -> None:
        for layer, out in self._out.items():
            subject.store.gather(layer, self._ids[layer], out)


class ReadyArm(StepArm):
    """A step whose rows lie in its `out` buffers when it starts: the fusion's own arithmetic."""

    def prepare(self, window: Window) -> None:
        """Gather the rows too, from the store beside."""
        super().prepare(window)
        assert self._checked is not None
        self._gather(self._checked)
        self.rows = sum(ids.size for ids in self._ids.values())

    def _rows(self, waits: Waits) -> RowSource:
        return lambda layer, /: self._out[layer]

    def settle(self) -> None:
        """Compare the rows that the step was given."""
        assert self._checked is not None
        self._checked.settle(self._ids)
        self._checked.check(self._ids, self._out)
