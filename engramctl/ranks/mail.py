"""One micro-batch's rows on one rank: hashed, gathered by their owners, exchanged, handed over."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.arms.subject import Subject
from engramctl.arms.window import Window
from engramctl.fusion.rows_to_read import RowsToRead
from engramctl.ranks.dealt import Dealt
from engramctl.ranks.exchange import Awaited, Exchange
from engramctl.ranks.parcels import Parcels, parcels
from engramctl.storage.reading.part import PartOfTable


@dataclass(frozen=True)
class Mail:
    """How a rank gets rows: its shard, the others', and the exchange between.

    Attributes:
        subject: the store of this rank's part.
        part: that part.
        dealt: who owns which rows.
        exchange: of this rank.
        stages: by layer of the table, 0 or 1: the stage of the pipeline that reads it; layers come
            in the order the model reads them.
    """

    subject: Subject
    part: PartOfTable
    dealt: Dealt
    exchange: Exchange
    stages: Mapping[int, int]

    def hashed(self, windows: Sequence[Window]) -> list[RowsToRead]:
        """Return the row ids of every rank's sequences."""
        return [self.subject.row_ids(one.token_ids_BT, one.history_BC) for one in windows]

    def runner_of(self, rank: int, layer: int) -> int:
        """Return whose sequences a rank reads a layer's rows for: its own, or its neighbour's."""
        return (rank - self.stages[layer]) % self.exchange.peers.world

    def parcels(self, ids: Sequence[RowsToRead]) -> dict[int, Parcels]:
        """Return what this rank sends and receives, layer by layer."""
        peers = self.exchange.peers
        return {
            layer: parcels(
                [ids[self.runner_of(rank, layer)][layer] for rank in range(peers.world)],
                partial(self.dealt.owners, layer),
                peers.rank,
            )
            for layer in self.stages
        }

    def own_ids(self, of_layers: Mapping[int, Parcels]) -> dict[int, NDArray[np.int64]]:
        """Return what this rank gathers, by its part's own numbers."""
        return {layer: self.part.numbers(layer, one.sent_ids) for layer, one in of_layers.items()}

    def ask(self, windows: Sequence[Window]) -> tuple[dict[int, Awaited], list[RowsToRead]]:
        """Ask for a micro-batch's rows of all layers, in the exchange's thread.

        Args:
            windows: of every rank.

        Returns:
            by layer, the rows (B, T, H, E) this rank reads, all of them, see `RowsToRead.used`; and
            by rank the row ids, which are hashed before this returns.
        """
        awaited = {layer: Awaited() for layer in self.stages}
        ids = self.hashed(windows)
        self.exchange.start(list(awaited.values()), partial(self._fetch, ids, awaited))
        return awaited, ids

    def _fetch(self, ids: Sequence[RowsToRead], awaited: Mapping[int, Awaited]) -> None:
        of_layers = self.parcels(ids)
        ticket = self.subject.store.prefetch(self.own_ids(of_layers))
        for layer, there in awaited.items():
            one = of_layers[layer]
            came = self.exchange.swap(
                "rows", ticket.wait(layer), one.send_counts, one.receive_counts
            )
            places = torch.from_numpy(one.places).to(came.device)
            there.give(came[places])
