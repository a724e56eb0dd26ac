"""What a run will leave out, as far as is known before a store is opened; as the run says it."""

from collections.abc import Container
from dataclasses import dataclass

from engramctl.errors import ConfigError
from engramctl.hashing import Lookup
from engramctl.results.states import (
    NONE_IS_WARM,
    NOTHING_KEPT,
    TRAFFIC,
    stateless_tier,
    too_many_rows,
)
from engramctl.storage import TableFiles
from engramctl.storage.cache.row_cache import cache_capacity
from engramctl.storage.reading.source import Source
from engramctl.storage.tiers.door import shared_budget
from engramctl.storage.tiers.tier_list import on_disk, read_tiers
from engramctl.sweep.axes import RANKS, SEQUENCES
from engramctl.sweep.loops import Loop, stateless
from engramctl.sweep.options import BenchOptions


@dataclass(frozen=True)
class KnownTable:
    """A table that a run would measure.

    Attributes:
        rows: where its rows lie.
        scheme: of them.
    """

    rows: Source
    scheme: Lookup

    @property
    def rows_a_token(self) -> int:
        """Rows that one token reads, all layers; distinct ones, for heads share none."""
        return len(self.rows.layers) * self.scheme.num_heads

    @property
    def has_records(self) -> bool:
        """Whether it has n-gram records."""
        return isinstance(self.rows, TableFiles) and self.rows.manifest.dictionary is not None


def tiers_left_out(options: BenchOptions, measured: Container[str]) -> list[str]:
    """Say which tiers that were named are in no loop.

    Args:
        options: of the run.
        measured: tiers of all loops, baselines included.
    """
    some = stateless(options) if options.named else ()
    return [stateless_tier(one, options.cache) for one in some if one not in measured]


def why_left_out(loop: Loop, tier: str, table: KnownTable | None = None) -> str | None:
    """Return why a loop will or may leave a tier out; None: nothing is known against it.

    Args:
        loop: of the run.
        tier: one of its tiers.
        table: that it would measure; None: it is not known, nor what rows take.
    """
    if not on_disk(tier):
        return None
    tiers, words = read_tiers(tier), loop.options.reading(tier)
    record = 1 if table is None else table.rows.record.record_bytes
    try:
        budget, host = shared_budget(tiers, words["budget_bytes"], words["cache_bytes"], record)
    except ConfigError as error:
        return error.message
    gpu = tiers.cache_bytes("gpu")
    if loop.cache == "warm" and not host + gpu:
        return None if budget is None else NONE_IS_WARM
    if loop.cache == TRAFFIC and not host + gpu and table is not None:
        return None if loop.options.fill or table.has_records else NOTHING_KEPT
    if loop.cache != "warm" or table is None or loop.case == RANKS:
        return None
    return _too_small(loop, table, host, gpu)


def _too_small(loop: Loop, table: KnownTable, host: int, gpu: int) -> str | None:
    """Return why row caches of so many bytes do not keep the rows of a sample, or may not.

    How many of its tokens read the same rows is not known: at least one reads its own.
    """
    record, total = table.rows.record.record_bytes, sum(map(table.rows.num_rows, table.rows.layers))
    capacity = min(gpu // record, total) + (cache_capacity(host, record, total) if host else 0)
    least, most = table.rows_a_token, table.rows_a_token * _tokens(loop)
    if capacity < least:
        return too_many_rows(least, capacity)
    return too_many_rows(most, capacity, at_most=True) if capacity < min(most, total) else None


def _tokens(loop: Loop) -> int:
    """Return the tokens of a sample, all sequences."""
    options = loop.options
    if loop.phase == SEQUENCES:
        from engramctl.arms.sequences import spread_lengths

        return int(spread_lengths(options.batch, *options.lengths).sum())
    return options.batch * (1 if loop.phase == "decode" else options.tokens)
