"""What is timed: a gather, a gated lookup, a model step. Each arm does one sample at a time.

`prepare`, the ground and `settle` are untimed: they set the cache state, poison, make what comes
before every sample alike, and check. `run` is the sample.
"""

import time
from abc import ABC, abstractmethod

import torch

from engramctl.bench.ground import Ground, synchronise
from engramctl.bench.subject import RowIds, Subject, read_bytes_so_far
from engramctl.layers.fusions import INPUT
from engramctl.model.decoder import Decoder
from engramctl.traffic.trace import Window


class Arm(ABC):
    """One thing measured in a loop; keeps its own samples."""

    def __init__(self, tier: str, subject: Subject | None, ground: Ground) -> None:
        """`subject` is None for the model without memory."""
        self.tier = tier
        self.subject = subject
        self._ground = ground
        self.samples_ns: list[int] = []
        self.stalls_ns: list[int] = []
        self.device_bytes: list[int] = []
        self.device_reads: list[int] = []
        self.asked_bytes: list[int] = []
        self.unique_rows: list[int] = []
        self.rows = 0

    def sample(self, window: Window, *, keep: bool) -> None:
        """Prepare, time and settle one sample; `keep` is False while warming up."""
        self.prepare(window)
        self._ground.level()
        before = read_bytes_so_far(), self._counts()
        started = time.perf_counter_ns()
        stall_ns = self.run()
        took = time.perf_counter_ns() - started
        after = read_bytes_so_far(), self._counts()
        self.settle()
        if keep:
            self.samples_ns.append(took)
            self.stalls_ns.append(stall_ns)
            if before[0] is not None and after[0] is not None:
                self.device_bytes.append(after[0] - before[0])
            done = [now - then for now, then in zip(after[1], before[1], strict=True)]
            self.device_reads.append(done[0])
            self.asked_bytes.append(done[1])
            self.unique_rows.append(done[2])

    def _counts(self) -> tuple[int, int, int]:
        """Reads of the disk so far, bytes asked of it, distinct rows."""
        if self.subject is None:
            return 0, 0, 0
        stats = self.subject.store.stats()
        return stats.device_reads, stats.device_bytes, stats.rows_unique

    @abstractmethod
    def prepare(self, window: Window) -> None:
        """Get ready for a window, untimed."""

    @abstractmethod
    def run(self) -> int:
        """Do the work; return the nanoseconds spent waiting for rows."""

    @abstractmethod
    def settle(self) -> None:
        """Check what the sample returned, untimed."""


class GatherArm(Arm):
    """Rows of all layers by known row ids: `prefetch`, then `wait` layer by layer."""

    subject: Subject

    def prepare(self, window: Window) -> None:
        """Hash the window; poison the outputs."""
        self._ids = self.subject.row_ids(window.token_ids_BT, window.history_BC)
        self.rows = sum(ids.size for ids in self._ids.values())
        self._out = self.subject.outputs(self._ids)
        self.subject.prepare(self._ids)

    def run(self) -> int:
        """Gather every layer."""
        ticket = self.subject.store.prefetch(self._ids)
        for layer, out in self._out.items():
            ticket.wait(layer, out)
        synchronise(self.subject.store.device)
        return 0

    def settle(self) -> None:
        """Compare the rows."""
        self.subject.settle(self._ids)
        self.subject.check(self._ids, self._out)


class LookupArm(Arm):
    """The gated lookup: hash, gather and dequantise, gate, write into the branches."""

    subject: Subject

    def __init__(self, tier: str, subject: Subject, ground: Ground, model: Decoder) -> None:
        """Use the memories of `model`, without the rest of it."""
        super().__init__(tier, subject, ground)
        self._model = model
        self._random = torch.Generator().manual_seed(0)
        self._memories = model.memories()

    def prepare(self, window: Window) -> None:
        """Draw branch values; poison the outputs."""
        self._window = window
        ids = self.subject.row_ids(window.token_ids_BT, window.history_BC)
        self.rows = sum(layer_ids.size for layer_ids in ids.values())
        self._out = self.subject.outputs(ids)
        config = self._model.config
        batch, tokens = window.token_ids_BT.shape
        at_input = any(place == INPUT for place, *_ in self._memories)
        branches = () if at_input else (config.num_branches,)
        shape = (batch, tokens, *branches, config.width)
        self._X = torch.randn(shape, generator=self._random).to(
            self._model.device, self._model.dtype
        )
        self._state = self._model.new_state(batch, 1)
        self.subject.prepare(ids)

    def run(self) -> int:
        """Hash, fetch, gate, add; layer by layer."""
        stall_ns = 0
        X = self._X
        self._ids = self.subject.row_ids(self._window.token_ids_BT, self._window.history_BC)
        ticket = self.subject.store.prefetch(self._ids)
        with torch.inference_mode():
            for place, table_layer, memory in self._memories:
                started = time.perf_counter_ns()
                rows = ticket.wait(table_layer, self._out[table_layer])
                stall_ns += time.perf_counter_ns() - started
                history = None if place == INPUT else self._state.conv.get(place)
                X = memory(X, self._ids.used(table_layer, rows), history, self._ids.mask_BT)
        synchronise(self._model.device)
        return stall_ns

    def settle(self) -> None:
        """Compare the rows."""
        self.subject.settle(self._ids)
        self.subject.check(self._ids, self._out)


class StepArm(Arm):
    """A whole model step: prefill of a prompt, or decode of one token a sequence.

    The model without memory does the untimed work of an arm with one, `beside` it: hashes, poisons,
    and after its step gathers and checks. A busy machine gives less to who has just worked.
    """

    def __init__(
        self,
        tier: str,
        subject: Subject | None,
        ground: Ground,
        model: Decoder,
        phase: str,
        context: int,
        beside: Subject | None = None,
    ) -> None:
        """`context` tokens fill the KV cache before a decode step."""
        super().__init__(tier, subject, ground)
        self._checked = beside if subject is None else subject
        self._model = model
        self._phase = phase
        self._context = context if phase == "decode" else 0
        self._state = model.new_state(1, 1)
        self._filled = False
        self._ids: RowIds = {}
        self._out: dict[int, torch.Tensor] = {}

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

    def run(self) -> int:
        """Hash and prefetch for all layers, then run the model."""
        stall_ns = 0
        source = mask = None
        if self.subject is not None:
            ids = self.subject.row_ids(self._window.token_ids_BT, self._window.history_BC)
            ticket, mask = self.subject.store.prefetch(ids), ids.mask_BT

            def source(table_layer: int) -> torch.Tensor:
                nonlocal stall_ns
                started = time.perf_counter_ns()
                rows = ticket.wait(table_layer, self._out[table_layer])
                stall_ns += time.perf_counter_ns() - started
                return ids.used(table_layer, rows)

        if self._phase == "decode":
            mask_B = None if mask is None else mask[:, 0]
            self._model.decode(self._model_ids[:, 0], self._state, source, mask_B)
        else:
            self._model.prefill(self._model_ids, self._state, source, mask)
        synchronise(self._model.device)
        return stall_ns

    def settle(self) -> None:
        """Compare the rows: those of the step, or without a memory those gathered now."""
        if self._checked is None:
            return
        if self.subject is None:
            for layer, out in self._out.items():
                self._checked.store.gather(layer, self._ids[layer], out)
        self._checked.settle(self._ids)
        self._checked.check(self._ids, self._out)
