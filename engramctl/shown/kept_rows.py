"""What was found in memory of the ssd tier's own, as columns of a table."""

from collections.abc import Mapping
from typing import Any

from engramctl.shown.figures import percent
from engramctl.storage.tiers.tier_list import TIERS, is_mixture

MEMORY_LEGEND = {
    "from cache": "of the distinct rows of a sample, the share found in the row cache; of a "
    "mixture, the share that each tier served",
    "from records": "n-grams of a sample whose rows one read of a record brought",
    "logged/token": "bytes written to the dictionary that traffic fills, a token of the samples",
    "tokens before": "that the store had looked up before the first sample",
}


def from_cache(row: Mapping[str, Any]) -> str | None:
    """Show the share of a sample's distinct rows that the row cache had; None where there is none.

    Of a mixture each tier says its share. Results from before that do not tell how many distinct
    rows a row cache lacked show none of it: what they have counts repeated rows again.

    Args:
        row: that `case_rows` made.

    Example:
        >>> row = {"tier": "ssd", "kept_cache_bytes": 4096}
        >>> row |= {"unique_rows": 48.0, "saved_cache_rows_missed": 12.0}
        >>> from_cache(row), from_cache(row | {"kept_cache_bytes": 0})
        ('75 %', None)
        >>> served = {"rows_by_tier_gpu": None, "rows_by_tier_host": 93.0, "rows_by_tier_ssd": 7.0}
        >>> from_cache(row | served | {"tier": "host:1GiB,ssd"})
        'host 93 % ssd 7 %'
    """
    if is_mixture(row["tier"]):
        return _from_tiers(row)
    distinct, missed = row["unique_rows"], row["saved_cache_rows_missed"]
    if not row["kept_cache_bytes"] or not distinct or missed is None:
        return None
    return percent(100 * (1 - min(1.0, missed / distinct)))


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
