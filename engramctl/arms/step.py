"""Arms that are a whole model step: without memory, with rows that are ready, with a store's.

An arm without a store does the untimed work of one with it, `beside` it: hashes, poisons, gathers
and checks. A busy machine gives less to who has just worked.
"""

import time
from functools import partial

import torch
import torch.nn.functional as F

from engramctl.arms.arm import Arm
from engramctl.arms.ground import Ground, synchronise
from engramctl.arms.model_input import filled_state, model_tokens
from engramctl.arms.subject import Subject
from engramctl.arms.waits import Waits
from engramctl.arms.window import Window
from engramctl.fusion.rows_to_read import RowsToRead
from engramctl.model.decoder import Decoder, RowSource
from engramctl.model.graphed import NO_DEVICE, decoder_of, why_not
from engramctl.storage.requests.ticket import Ticket

Asked = tuple[RowsToRead, Ticket]


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
        self._ids = RowsToRead({}, None, {})
        self._out: dict[int, torch.Tensor] = {}
        self._early: Asked | None = None
        self._decode = decoder_of(model, self._state)
        reason = why_not(model)
        if phase != "decode" and reason != NO_DEVICE:
            reason = "prompts are read without graphs"
        self.graphs = (reason is None, reason)

    def prepare(self, window: Window) -> None:
        """Rewind the cache to its context; poison the outputs."""
        self._window = window
        self._model_ids = model_tokens(self._model, window)
        if not self._filled:
            self._state = filled_state(self._model, window, self._context, 0)
            self._filled = True
            self._decode = decoder_of(self._model, self._state)
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
        began = time.perf_counter_ns()
        if asks:
            self._early = self._asked()
        if self._tail:
            self.end_last_step()
        return time.perf_counter_ns() - began if asks else 0

    def end_last_step(self) -> None:
        """Make the output projection of the step before: what a caller has left to do there."""
        model = self._model
        last = model.embedding[self._model_ids[:, -1]]
        with torch.inference_mode():
            F.linear(model.norm(last), model.head)
        synchronise(model.device)

    def run(self, waits: Waits) -> None:
        """Run the model, with rows where it has a memory."""
        rows, mask_BT = self._rows(waits)
        if self._phase == "decode":
            mask_B = None if mask_BT is None else mask_BT[:, 0]
            self._decode(self._model_ids[:, 0], rows, mask_B)
        else:
            self._model.prefill(self._model_ids, self._state, rows, mask_BT)
        synchronise(self._model.device)

    def _rows(self, waits: Waits) -> tuple[RowSource | None, torch.Tensor | None]:
        """Return what gives the model its rows, and which tokens use them.

        Asks for them where the step does that first.
        """
        if self.subject is None:
            return None, None
        if self._issue == "layer":
            in_layer = partial(self._rows_in_layer, waits)
            return in_layer, self._ids.mask_BT
        ids, ticket = self._asked() if self._early is None else self._early
        self._early = None

        def waited(layer: int, /) -> torch.Tensor:
            rows = waits.rows(layer, partial(ticket.wait, layer, self._out[layer]))
            return ids.used(layer, rows)

        return waited, ids.mask_BT

    def _asked(self) -> Asked:
        """Hash for all layers and prefetch."""
        assert self.subject is not None
        ids = self.subject.row_ids(self._window.token_ids_BT, self._window.history_BC)
        return ids, self.subject.store.prefetch(ids, ids.ngram_keys)

    def _rows_in_layer(self, waits: Waits, layer: int, /) -> torch.Tensor:
        """Hash for one layer, and fetch."""
        assert self.subject is not None
        subject, window = self.subject, self._window

        def fetched() -> torch.Tensor:
            ids = subject.row_ids(window.token_ids_BT, window.history_BC, layer)
            return subject.store.prefetch(ids, ids.ngram_keys).wait(layer, self._out[layer])

        return self._ids.used(layer, waits.rows(layer, fetched))

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

    def _rows(self, waits: Waits) -> tuple[RowSource | None, torch.Tensor | None]:
        return lambda layer, /: self._ids.used(layer, self._out[layer]), self._ids.mask_BT

    def settle(self) -> None:
        """Compare the rows that the step was given."""
        assert self._checked is not None
        self._checked.settle(self._ids)
        self._checked.check(self._ids, self._out)
