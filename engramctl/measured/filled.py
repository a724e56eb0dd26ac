"""The dictionary that a run fills from its own traffic: opened, and said in the result."""

from dataclasses import replace
from typing import Any

from engramctl.errors import ConfigError
from engramctl.hashing import Lookup, Scheme
from engramctl.storage import SelfFilled, Store
from engramctl.sweep.options import BenchOptions


def self_filled(options: BenchOptions, scheme: Lookup) -> SelfFilled | None:
    """Return the dictionary that the ssd tier fills; None where no file is named.

    Raises:
        ConfigError: the scheme has no n-gram keys.
    """
    if options.fill is None:
        return None
    if not isinstance(scheme, Scheme):
        raise ConfigError(
            f"--fill records n-grams by their keys, and the scheme {scheme.name} has none",
            hint="leave out --fill",
        )
    found = SelfFilled(options.fill, len(scheme.orders), scheme.heads_per_order, scheme.key_bits)
    if options.fill_size_bytes is not None:
        found = replace(found, size_bytes=options.fill_size_bytes)
    if options.write_budget_bytes is not None:
        found = replace(found, write_bytes_per_token=options.write_budget_bytes)
    return found


def fill_facts(filled: SelfFilled | None, entries: int | None) -> dict[str, Any]:
    """Return what a result's `config` says of it.

    Args:
        filled: what `self_filled` returned.
        entries: n-grams that the file had when it was opened; None: it was not.
    """
    return {
        "fill_size_bytes": None if filled is None else filled.size_bytes,
        "write_budget_bytes": None if filled is None else int(filled.write_bytes_per_token),
        "fill_entries": entries,
    }


def entries_before(filled: SelfFilled, store: Store) -> tuple[int, str | None]:
    """Return how many n-grams a dictionary has that was just opened, and a warning if any.

    Args:
        filled: the dictionary.
        store: that has it, and was asked for nothing yet.
    """
    entries = store.stats().log_entries
    if not entries:
        return 0, None
    return entries, (
        f"{filled.path} had {entries:,} n-grams before this run: what it saves is not of this "
        "run's tokens alone; delete the file to begin with none"
    )
