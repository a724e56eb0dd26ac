"""Memory that the rows of a run's tiers take, added up before one of them is opened.

A row cache fills while it is used: what a run of several takes shows only when it is far on, and
passing a container's limit ends it without a word.
"""

from collections.abc import Iterable

from engramctl.errors import StorageError
from engramctl.storage.cache.row_cache import cache_pages
from engramctl.storage.io.pages import PAGE
from engramctl.storage.reading.source import Source
from engramctl.storage.tiers.door import shared_budget
from engramctl.storage.tiers.tier_list import on_disk, read_tiers
from engramctl.sweep.options import BenchOptions
from engramctl.terminal.quantities import size_words


def cache_bytes(options: BenchOptions, tier: str, table: Source) -> dict[str, int]:
    """Return the bytes that a tier takes beside its whole table, by where: gpu, host.

    Of rows on disk it is what `--budget` bounds: the row cache, and what is for rows on their way.
    A row cache is no larger than all rows make it; the page cache is not counted, for the kernel
    takes it back.

    Args:
        options: of the run.
        tier: a tier or a mixture.
        table: whose rows.

    Raises:
        ConfigError: there can be no such row cache.
    """
    tiers = read_tiers(tier)
    record, total = table.record.record_bytes, _num_rows(table)
    found = {"gpu": min(tiers.cache_bytes("gpu"), total * record), "host": 0}
    if on_disk(tier):
        words = options.reading(tier)
        budget, cache = shared_budget(tiers, words["budget_bytes"], words["cache_bytes"], record)
        if budget is not None:
            found["host"] = budget - cache + cache_pages(cache, record, total) * PAGE
    return found


def refuse_rows(
    options: BenchOptions, tiers: Iterable[str], table: Source, free_bytes: int
) -> None:
    """Refuse tiers whose rows do not fit in host memory together.

    One that would not fit even alone is left to itself: it is then skipped.

    Args:
        options: of the run.
        tiers: that it opens.
        table: whose rows.
        free_bytes: of host memory.

    Raises:
        StorageError: with the arithmetic.
        ConfigError: there can be no such row cache.
    """
    needs = {}
    for tier in tiers:
        whole = read_tiers(tier).whole == "host"
        needed = cache_bytes(options, tier, table)["host"]
        needed += _num_rows(table) * table.record.record_bytes if whole else 0
        if 0 < needed <= free_bytes:
            needs[tier] = needed
    total = sum(needs.values())
    if total > free_bytes:
        raise StorageError(
            "the rows of these tiers do not fit in memory together: they need "
            f"{size_words(total)}, and {size_words(free_bytes)} are free",
            facts={tier: size_words(needed) for tier, needed in needs.items()}
            | {"together": size_words(total), "free": size_words(free_bytes)},
            hint="measure fewer of them in a run, or give row caches less: --tier host:SIZE,ssd, "
            "--budget, --row-cache",
        )


def refuse_alone(options: BenchOptions, tier: str, table: Source, free_bytes: int) -> None:
    """Refuse a tier over disk that takes more host memory than there is; as `refuse_rows`."""
    needed = cache_bytes(options, tier, table)["host"]
    if needed > free_bytes:
        raise StorageError(
            f"the memory of {tier} does not fit: it needs {size_words(needed)}, and "
            f"{size_words(free_bytes)} are free",
            hint="give it less: --tier host:SIZE,ssd, --budget, --row-cache",
        )


def _num_rows(table: Source) -> int:
    return sum(table.num_rows(layer) for layer in table.layers)
