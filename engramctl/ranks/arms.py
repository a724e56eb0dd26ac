"""What is timed of ranks: a step of each schedule, and the rows' way without a model."""

import numpy as np
import torch

from engramctl.arms.arm import Arm
from engramctl.arms.ground import Ground, synchronise
from engramctl.arms.model_input import filled_state, model_tokens
from engramctl.arms.subject import Subject, Unmeasurable
from engramctl.arms.waits import Waits
from engramctl.arms.window import Window
from engramctl.model.decoder import Decoder
from engramctl.model.state import State
from engramctl.ranks.mail import Mail
from engramctl.ranks.parcels import RowIds
from engramctl.ranks.pipeline import MicroBatch, Pipeline
from engramctl.ranks.shares import share
from engramctl.storage.reading.source import Source, read_values


class RankArm(Arm):
    """One rank's side of what all ranks do at once: every sample begins when all are ready."""

    subject: Subject

    def __init__(
        self, tier: str, subject: Subject, ground: Ground, mail: Mail, whole: Source, parts: int
    ) -> None:
        """Make the arm.

        Args:
            tier: where this rank's shard is.
            subject: its store.
            ground: under every sample.
            mail: how rows come.
            whole: the table, against which rows are checked.
            parts: micro-batches.
        """
        super().__init__(tier, subject, ground)
        self._mail, self._whole, self._parts = mail, whole, parts
        self._peers = mail.exchange.peers
        self.sent_bytes: list[dict[str, int]] = []

    def prepare(self, window: Window) -> None:
        """Cut the window into micro-batches; bring this rank's rows into their state.

        Raises:
            Unmeasurable: on every rank, where one of them cannot have the state.
        """
        world = self._peers.world
        self._windows = [
            [share(window, rank, world, part, self._parts) for rank in range(world)]
            for part in range(self._parts)
        ]
        ids = [self._mail.hashed(windows) for windows in self._windows]
        found = [self._mail.own_ids(self._mail.parcels(of_ranks)) for of_ranks in ids]
        self._own = {layer: np.concatenate([one[layer] for one in found]) for layer in found[0]}
        self.rows = sum(layer_ids.size for one in ids for of in one for layer_ids in of.values())
        why = None
        try:
            self.subject.prepare(self._own)
        except Unmeasurable as error:
            why = str(error)
        for rank, told in enumerate(self._peers.each(why)):
            if told is not None:
                raise Unmeasurable(f"rank {rank}: {told}")

    def lead(self) -> int:
        """Wait for the other ranks; nothing is asked for before."""
        self._before = dict(self._mail.exchange.sent_bytes)
        self._peers.wait_for_all()
        return 0

    def settle(self) -> None:
        """Note what was sent; look at the pages."""
        now = self._mail.exchange.sent_bytes
        self.sent_bytes.append({kind: now[kind] - self._before[kind] for kind in now})
        self.subject.settle(self._own)

    def check_rows(self, layer: int, ids: RowIds, rows: torch.Tensor) -> None:
        """Compare rows that came with the plain reader's of the whole table."""
        self.subject.compare(self._whole, layer, ids, rows)


class AloneArm(RankArm):
    """The rows' way without a model: hashed, gathered by their owners, exchanged."""

    def run(self, waits: Waits) -> None:
        """Ask for every micro-batch's rows, and wait for them all."""
        self._came = [self._mail.ask(windows) for windows in self._windows]
        for rows, _ in self._came:
            for one in rows.values():
                one.wait()
        synchronise(self._peers.device)

    def settle(self) -> None:
        """Compare the rows."""
        super().settle()
        for rows, ids in self._came:
            for layer, one in rows.items():
                of = self._mail.runner_of(self._peers.rank, layer)
                self.check_rows(layer, ids[of][layer], one.wait())


class RankStepArm(RankArm):
    """A step of all ranks.

    Attributes:
        rows_wait_ns: how long each sample waited for rows, warm-up included.
        streams_wait_ns: for the branches of the rank before, warm-up included.
        logits_off: the largest difference of this rank's logits from those of one process that
            runs the same sequences with rows of the plain reader, in the first sample.
    """

    def __init__(
        self,
        tier: str,
        subject: Subject,
        ground: Ground,
        mail: Mail,
        whole: Source,
        parts: int,
        model: Decoder,
        context: int,
    ) -> None:
        """As for `RankArm`; `context` tokens are in the cache before the step."""
        super().__init__(tier, subject, ground, mail, whole, parts)
        self._pipeline = Pipeline(model, mail, self._clock)
        self._model, self._context = model, context
        self._states: list[tuple[State, State]] = []
        self.rows_wait_ns: list[int] = []
        self.streams_wait_ns: list[int] = []
        self.logits_off: float | None = None

    def prepare(self, window: Window) -> None:
        """Rewind the caches too."""
        super().prepare(window)
        if not self._states:
            self._states = [(self._filled(part), self._filled(part)) for part in range(self._parts)]
        self._some = [
            MicroBatch(windows, *states)
            for windows, states in zip(self._windows, self._states, strict=True)
        ]

    def _filled(self, part: int) -> State:
        """Return a state whose cache has its context: the same for all who run a micro-batch."""
        return filled_state(self._model, self._windows[part][0], self._context, part)

    def run(self, waits: Waits) -> None:
        """Run both stages of every micro-batch."""
        self._pipeline.step(self._some)
        synchronise(self._model.device)

    def settle(self) -> None:
        """Note the waits; compare rows, and once the logits."""
        super().settle()
        self.rows_wait_ns.append(sum(_waited(one.row_waits) for one in self._some))
        self.streams_wait_ns.append(sum(_waited(one.stream_waits) for one in self._some))
        for one in self._some:
            for layer, rows in one.arrived.items():
                of = self._mail.runner_of(self._peers.rank, layer)
                self.check_rows(layer, one.ids[of][layer], rows)
        if self.logits_off is None:
            self.logits_off = max(map(self._off, range(self._parts)))

    def last_logits(self) -> torch.Tensor:
        """Return what the last sample gave: (B, V) of the sequences of the rank before."""
        found = [one.logits for one in self._some if one.logits is not None]
        return torch.cat(found)

    def _off(self, part: int) -> float:
        """Return how far a micro-batch's logits are from those of one process."""
        one, before = self._some[part], (self._peers.rank - 1) % self._peers.world
        window, ids = one.windows[before], one.ids[before]

        def rows(layer: int, /) -> torch.Tensor:
            values = read_values(self._whole, layer, ids[layer].reshape(-1))
            found = torch.from_numpy(values).view(*ids[layer].shape, -1)
            return ids.used(layer, found.to(self._model.device, self._model.dtype))

        alone = self._model.prefill(
            model_tokens(self._model, window), self._filled(part), rows, ids.mask_BT
        )
        assert one.logits is not None
        return float((alone.float() - one.logits.float()).abs().max())


def _waited(waits: Waits | None) -> int:
    return 0 if waits is None else sum(waits.waited_ns().values())
