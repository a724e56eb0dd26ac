"""What was found in memory of the ssd tier's own, as columns of a table."""

from collections.abc import Mapping
from typing import Any

from engramctl.shown.figures import percent
from engramctl.storage.tiers.tier_list import TIERS, is_mixture

MEMORY_LEGEND = {
    "from cache": "of the row ids that a sample asked for, those found in the row cache; of a "
    "mixture, which share of the distinct rows each tier served",
    "from records": "n-grams of a sample whose rows one read of a record brought",
    "logged/token": "bytes written to the dictionary that traffic fills, a token of the samples",
    "tokens before": "that the store had looked up before the first sample",
}


def from_cache(row: Mapping[str, Any]) -> str | None:
    """Show the share of row ids that the row cache had; None where there is none.

    Of a mixture each tier says its share of the distinct rows.

    Args:
        row: that `case_rows` made.

    Example:
        >>> row = {"saved_cache_hits": 36.0, "saved_cache_misses": 12.0, "kept_cache_bytes": 4096}
        >>> row["tier"] = "ssd"
        >>> from_cache(row), from_cache(row | {"kept_cache_bytes": 0})
        ('75 %', None)
        >>> served = {"rows_by_tier_gpu": None, "rows_by_tier_host": 93.0, "rows_by_tier_ssd": 7.0}
        >>> from_cache(row | served | {"tier": "host:1GiB,ssd"})
        'host 93 % ssd 7 %'
    """
    if is_mixture(row["tier"]):
        return _from_tiers(row)
    hits, misses = row["saved_cache_hits"], row["saved_cache_misses"]
    if not row["kept_cache_bytes"] or hits is None or misses is None or not hits + misses:
        return None
    return f"{100 * hits / (hits + misses):.0f} %"


def _from_tiers(row: Mapping[str, Any]) -> str | None:
    rows = {tier: row[f"rows_by_tier_{tier}"] for tier in TIERS}
    served = {tier: number for tier, number in rows.items() if number is not None}
    total = sum(served.values())
    if not total:
        return None
    return " ".join(f"{tier} {percent(100 * one / total)}" for tier, one in served.items())


def from_records(row: Mapping[str, Any]) -> int | None:
    """Show how many n-grams a record served, of the mined dictionary or of the log; None: none.

    Example:
        >>> from_records({"saved_dictionary_hits": 2.0, "saved_log_hits": 1.25})
        3
    """
    return round((row["saved_dictionary_hits"] or 0) + (row["saved_log_hits"] or 0)) or None


def logged_a_token(row: Mapping[str, Any]) -> str | None:
    """Show how many bytes a token the log was given; None where there is none, or it is empty.

    Example:
        >>> row = {"saved_log_bytes_written": 24576.0, "tokens": 20, "kept_log_entries": 7}
        >>> logged_a_token(row), logged_a_token(row | {"kept_log_entries": 0})
        ('1,229 B', None)
    """
    written = row["saved_log_bytes_written"]
    if not row["kept_log_entries"] or written is None or not row["tokens"]:
        return None
    return f"{written / row['tokens']:,.0f} B"
