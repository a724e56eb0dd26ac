"""Two micro-batches: the rows of the second come while the first is computed."""

import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from engramctl.arms.waits import Clock
from engramctl.arms.window import Window
from engramctl.fusion.rows_to_read import RowsToRead
from engramctl.model.decoder import Flow
from engramctl.ranks.exchange import Awaited, Exchange
from engramctl.ranks.pipeline import MicroBatch, Pipeline

EXCHANGE_S, STAGE_S = 0.06, 0.12


class SlowPeers:
    """One rank, whose every exchange takes a while."""

    rank, world, device = 0, 1, torch.device("cpu")

    def swap(self, sent: torch.Tensor, *_: Any) -> torch.Tensor:
        time.sleep(EXCHANGE_S)
        return sent


class SlowModel:
    """Its stages take longer than an exchange; the first reads rows of layer 1 when it begins."""

    device = torch.device("cpu")
    config = SimpleNamespace(
        num_layers=2, vocab_size=9, residual=SimpleNamespace(mode="mhc"), num_branches=1
    )

    def enter(self, tokens: torch.Tensor, rows: Any, mask: Any) -> Flow:
        rows(1)
        return Flow(torch.zeros(*tokens.shape, 1, 2), torch.zeros(*tokens.shape, 1))

    def through(self, flow: Flow, *_: Any) -> Flow:
        time.sleep(STAGE_S)
        return flow

    def leave(self, flow: Flow) -> torch.Tensor:
        return flow.X_BTRD


class SlowMail:
    """Rows that take one exchange."""

    def __init__(self, exchange: Exchange) -> None:
        self.exchange = exchange

    def runner_of(self, rank: int, layer: int) -> int:
        return 0

    def ask(self, windows: Any) -> tuple[dict[int, Awaited], list[RowsToRead]]:
        awaited = Awaited()

        def job() -> None:
            awaited.give(self.exchange.swap("rows", torch.zeros(1, 2), [1], [1]))

        self.exchange.start([awaited], job)
        return {1: awaited}, [RowsToRead({}, None, {})]


def waits(parts: int) -> list[tuple[float, float]]:
    """Seconds that each micro-batch waits for rows and for branches."""
    window = Window(np.zeros((1, 0), np.int64), np.zeros((1, 1), np.int64))
    some = [MicroBatch([window], None, None) for _ in range(parts)]  # type: ignore[arg-type]
    with Exchange(SlowPeers()) as exchange:  # type: ignore[arg-type]
        pipeline: Any = Pipeline(SlowModel(), SlowMail(exchange), Clock(SlowModel.device))  # type: ignore[arg-type]
        pipeline.step(some)
    return [
        tuple(sum(of.waited_ns().values()) / 1e9 for of in (one.row_waits, one.stream_waits))  # type: ignore[union-attr, misc]
        for one in some
    ]


def test_with_one_micro_batch_every_exchange_is_waited_for() -> None:
    [(rows, streams)] = waits(1)
    assert rows > 0.9 * EXCHANGE_S
    assert streams > 0.9 * EXCHANGE_S


def test_with_two_the_second_s_rows_and_the_first_s_branches_are_not_waited_for() -> None:
    (first_rows, first_streams), (second_rows, _) = waits(2)
    assert first_rows > 0.9 * EXCHANGE_S
    assert second_rows < 0.3 * EXCHANGE_S
    assert first_streams < 0.3 * EXCHANGE_S


def test_what_an_exchange_raises_is_raised_where_it_is_waited_for() -> None:
    def lost() -> None:
        raise OSError("gone")

    awaited = Awaited()
    with Exchange(SlowPeers()) as exchange:  # type: ignore[arg-type]
        exchange.start([awaited], lost)
        with pytest.raises(OSError, match="gone"):
            awaited.wait()
