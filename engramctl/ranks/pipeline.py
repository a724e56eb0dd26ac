"""A model in two stages on every rank, and a step of all ranks through both.

A rank runs the first stage for its own sequences, and the second for those of the rank before it,
whose branches it is sent. So all ranks work at once, as in DualPipe.

With one micro-batch, rows and branches are waited for with nothing else to do. With two, the rows
of the second come while the first is computed, and the branches of the first while the second is.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch

from engramctl.arms.model_input import model_tokens
from engramctl.arms.waits import Clock, Waits
from engramctl.arms.window import Window
from engramctl.fusion.rows_to_read import RowsToRead
from engramctl.layers.config import DecoderConfig
from engramctl.layers.fusions import INPUT
from engramctl.model.decoder import Decoder, Flow
from engramctl.model.state import State
from engramctl.ranks.exchange import Awaited
from engramctl.ranks.mail import Mail
from engramctl.residual.site import first_pre

_STREAMS = 0  # branches are waited for once a micro-batch, under this number


def first_of_second_stage(config: DecoderConfig) -> int:
    """Return the first layer of the second stage: the model is cut in the middle."""
    return config.num_layers // 2


def stages_of(config: DecoderConfig) -> dict[int, int]:
    """Return by layer of the table the stage that reads it, in the order they are read."""
    cut = first_of_second_stage(config)
    layers = config.memory.layers if config.memory else ()
    return {table: int(place != INPUT and int(place) >= cut) for place, table in layers}


@dataclass
class MicroBatch:
    """Some sequences of every rank, and how far this rank is with them.

    Attributes:
        windows: by rank.
        own: state of the first stage, of this rank's sequences.
        before: state of the second, of those of the rank before it.
        rows: by layer of the table, what was asked for.
        arrived: the same when it was waited for, (B, T, H, E).
        ids: by rank.
        came: branches of the rank before.
        logits: (B, V) of its sequences.
        row_waits: by layer.
        stream_waits: for the branches.
    """

    windows: Sequence[Window]
    own: State
    before: State
    rows: dict[int, Awaited] = field(default_factory=dict)
    arrived: dict[int, torch.Tensor] = field(default_factory=dict)
    ids: list[RowsToRead] = field(default_factory=list)
    came: list[Awaited] = field(default_factory=list)
    logits: torch.Tensor | None = None
    row_waits: Waits | None = None
    stream_waits: Waits | None = None


class Pipeline:
    """Runs a step of micro-batches on one rank."""

    def __init__(self, model: Decoder, mail: Mail, clock: Clock) -> None:
        """Take the whole model; each stage uses a half of it."""
        self.model, self.mail, self._clock = model, mail, clock
        self._cut = first_of_second_stage(model.config)
        self._deferred = model.config.residual.mode == "single_pass"

    def step(self, some: Sequence[MicroBatch]) -> None:
        """Run all micro-batches through both stages; logits are left in them."""
        with torch.inference_mode():
            for one in some:
                one.row_waits, one.stream_waits = Waits(self._clock), Waits(self._clock)
                one.rows, one.ids = self.mail.ask(one.windows)
            for one in some:
                self._first_stage(one)
            for one in some:
                self._second_stage(one)

    def _first_stage(self, one: MicroBatch) -> None:
        rank = self.mail.exchange.peers.rank
        tokens, mask_BT = model_tokens(self.model, one.windows[rank]), one.ids[rank].mask_BT
        flow = self.model.enter(tokens, self._rows(one), mask_BT)
        flow = self.model.through(flow, range(self._cut), one.own, self._rows(one), mask_BT)
        one.came = [self._pass_on(flow.X_BTRD)]
        if self._deferred:
            one.came.append(self._pass_on(flow.carry_BTR))

    def _second_stage(self, one: MicroBatch) -> None:
        assert one.stream_waits is not None
        peers = self.mail.exchange.peers
        X = one.stream_waits.rows(_STREAMS, one.came[0].wait)
        flow = Flow(X, one.came[1].wait() if self._deferred else first_pre(X))
        mask_BT = one.ids[(peers.rank - 1) % peers.world].mask_BT
        layers = range(self._cut, self.model.config.num_layers)
        flow = self.model.through(flow, layers, one.before, self._rows(one), mask_BT)
        one.logits = self.model.leave(flow)

    def _rows(self, one: MicroBatch) -> Callable[[int], torch.Tensor]:
        rank = self.mail.exchange.peers.rank

        def waited(layer: int, /) -> torch.Tensor:
            assert one.row_waits is not None
            rows = one.row_waits.rows(layer, one.rows[layer].wait)
            one.arrived[layer] = rows
            return one.ids[self.mail.runner_of(rank, layer)].used(layer, rows)

        return waited

    def _pass_on(self, sent: torch.Tensor) -> Awaited:
        """Send branches to the next rank; return those of the rank before, of the same shape."""
        exchange, came = self.mail.exchange, Awaited()
        rank, world = exchange.peers.rank, exchange.peers.world
        to, of = (rank + 1) % world, (rank - 1) % world
        flat = sent.contiguous().flatten(0, 1)

        def job() -> None:
            if flat.device.type == "cuda":
                flat.record_stream(torch.cuda.current_stream())
            counts = [[len(flat) * (rank == one) for rank in range(world)] for one in (to, of)]
            came.give(exchange.swap("streams", flat, *counts).view_as(sent))

        exchange.start([came], job)
        return came
