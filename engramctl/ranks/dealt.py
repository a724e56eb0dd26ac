"""Which rank owns which rows of a table: whole heads dealt in turn, or ranges of rows."""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import ConfigError
from engramctl.hashing import Lookup
from engramctl.schemes.options import Ranges, head_ranges
from engramctl.storage.format.dealt_heads import dealt_heads
from engramctl.storage.reading.part import PartOfTable
from engramctl.storage.reading.source import Source
from engramctl.sweep.ranked import HEADS, ROWS


@dataclass(frozen=True)
class Dealt:
    """A table's rows among ranks.

    Attributes:
        shard: heads or rows.
        ranges: by layer, for each rank the ranges of rows that it owns.
    """

    shard: str
    ranges: Mapping[int, tuple[Ranges, ...]]

    @classmethod
    def of(cls, table: Source, scheme: Lookup, world: int, shard: str | None = None) -> "Dealt":
        """Deal the rows of every layer.

        Heads go to ranks as `layout --head-shards` deals them to files, so that a rank of such a
        folder reads files of its own.

        Args:
            table: the rows.
            scheme: of the table.
            world: ranks.
            shard: heads or rows; None: heads, where there is one for each rank.

        Raises:
            ConfigError: fewer heads, or rows, than ranks.
        """
        if shard is None:
            shard = HEADS if scheme.num_heads >= world else ROWS
        if shard == HEADS and scheme.num_heads < world:
            raise ConfigError(
                f"{scheme.num_heads} heads cannot be dealt to {world} ranks",
                hint="deal rows: --deal rows",
            )
        ranges = {}
        for layer in table.layers:
            num_rows = table.num_rows(layer)
            if num_rows < world:
                raise ConfigError(f"{num_rows} rows cannot be dealt to {world} ranks")
            ranges[layer] = (
                _by_heads(head_ranges(scheme, layer, num_rows), world)
                if shard == HEADS
                else _by_rows(num_rows, world)
            )
        return cls(shard, ranges)

    def part(self, table: Source, rank: int) -> PartOfTable:
        """Return what a rank holds of the table."""
        return PartOfTable.of(
            table, {layer: of_ranks[rank] for layer, of_ranks in self.ranges.items()}
        )

    def owners(self, layer: int, row_ids: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Return the rank that owns each row; same shape, int64."""
        found = sorted(
            (start, rank) for rank, own in enumerate(self.ranges[layer]) for start, _ in own
        )
        starts, ranks = np.array(found, np.int64).T
        owners: NDArray[np.int64] = ranks[np.searchsorted(starts, row_ids, "right") - 1]
        return owners


def _by_heads(heads: Ranges, world: int) -> tuple[Ranges, ...]:
    return tuple(
        tuple(heads[head] for head in dealt_heads(len(heads), rank, world)) for rank in range(world)
    )


def _by_rows(num_rows: int, world: int) -> tuple[Ranges, ...]:
    cuts = [num_rows * rank // world for rank in range(world + 1)]
    return tuple(((start, stop),) for start, stop in pairwise(cuts))
