"""What a run holds open: a store for each tier, and the models of one point at a time."""

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, ExitStack
from pathlib import Path
from typing import Any, TypeVar

import torch

from engramctl.arms.subject import opened_store
from engramctl.counts.accesses import Accesses
from engramctl.errors import ConfigError
from engramctl.hashing import Lookup
from engramctl.measured.filled import entries_before, fill_facts, self_filled
from engramctl.measured.model import (
    Models,
    compute_dtype,
    cut_model,
    free_bytes,
    make_models,
    refuse_too_large,
)
from engramctl.measured.row_memory import refuse_alone, refuse_rows
from engramctl.storage import Store
from engramctl.storage.reading.source import Source
from engramctl.storage.tiers.door import indexed
from engramctl.storage.tiers.tier_list import on_disk
from engramctl.sweep.axes import AXES
from engramctl.sweep.options import BenchOptions
from engramctl.tables.opened_rows import Opened

T = TypeVar("T")


def accesses_of(counts: str | None, rows: Source) -> Accesses | None:
    """Return the accesses of a table's rows that a counts folder has; None where none is named.

    Raises:
        ConfigError, FormatError: as `Accesses`.
    """
    if counts is None:
        return None
    return Accesses(Path(counts), {layer: rows.num_rows(layer) for layer in rows.layers})


class OpenedParts:
    """Stores and models of a run, each made when it is first needed."""

    def __init__(
        self,
        table: Opened,
        scheme: Lookup,
        options: BenchOptions,
        warn: Callable[[str], None],
        device: torch.device | None = None,
        accesses: Accesses | None = None,
    ) -> None:
        """Open nothing yet.

        Args:
            table: the rows that are measured.
            scheme: of the table.
            options: of the run.
            warn: told what a store could not have.
            device: that computes; None: a GPU where there is one.
            accesses: what row caches of the ssd tier are filled with; None: they begin empty.

        Raises:
            ConfigError: a dictionary is to be filled by a scheme without n-gram keys.
        """
        self.device = device or indexed("cuda" if torch.cuda.is_available() else "cpu")
        self._table = table
        self._scheme = scheme
        self._options = options
        self._free = free_bytes(self.device, options.ranks)  # before the run takes any
        host = torch.device("cpu")
        self._host_free = free_bytes(host, options.ranks) if self.device != host else self._free
        self._warn = warn
        self._accesses = accesses
        self._filled = self_filled(options, scheme)
        self._entries_before: int | None = None
        self._stack = ExitStack()
        self._stores: dict[str, Store] = {}
        self._models: Models | None = None
        self._drawn_for: tuple[Any, ...] | None = None

    def enter(self, context: AbstractContextManager[T]) -> T:
        """Enter a context that is left when all is closed."""
        return self._stack.enter_context(context)

    def close(self) -> None:
        """Close the stores and let the models go."""
        self._models = None
        self._stack.close()

    @property
    def resident_tier(self) -> str:
        """The tier on the compute device: the baseline of a table that costs no transfer."""
        return "gpu" if self.device.type == "cuda" else "host"

    def store(self, tier: str) -> Store:
        """Return the store of a tier, open until the run ends."""
        if tier not in self._stores:
            refuse_alone(self._options, tier, self._table.rows, self._host_free)
            words = self._options.reading(tier)
            words["dtype"] = compute_dtype(self._options, self.device)
            if on_disk(tier):
                words["fill"] = self._filled
            store, told = opened_store(self._table, tier, self.device, words)
            for one in told:
                self._warn(one)
            self._stores[tier] = self._stack.enter_context(store)
            if on_disk(tier) and self._filled is not None:
                self._entries_before, warning = entries_before(self._filled, store)
                if warning is not None:
                    self._warn(warning)
            if on_disk(tier) and self._accesses is not None:
                _warm(store, self._accesses)
        return self._stores[tier]

    def open_filled(self) -> None:
        """Open the store that fills a dictionary, if one does, before anything is measured.

        Raises:
            ConfigError, FormatError, StorageError: as `open_store`: it is of another table, or
                another process has it.
        """
        if self._filled is not None:
            [tier] = filter(on_disk, self._options.tiers)
            self.store(tier)

    def odd(self) -> list[str]:
        """Return what a reader of the cases so far must know of the stores."""
        found = (store.stats().log_stopped for store in self._stores.values())
        return [f"--fill takes no n-grams any more: {why}" for why in found if why is not None]

    def facts(self) -> dict[str, Any]:
        """Return what a result's `config` says of what was opened."""
        return {
            "model_dtype": self._options.dtype_on(self.device.type),
            "warm_xxh3_128": None if self._accesses is None else self._accesses.digest,
            "engines_because": {
                tier: store.engine_chosen_because for tier, store in self._stores.items()
            },
            **fill_facts(self._filled, self._entries_before),
        }

    def refuse_rows(self, tiers: Iterable[str]) -> None:
        """Refuse tiers whose rows do not fit in memory together, as `refuse_rows`."""
        refuse_rows(self._options, tiers, self._table.rows, self._host_free)

    def refuse_too_large(self, options: BenchOptions) -> None:
        """Refuse the models of a point that do not fit in memory, as `refuse_too_large`."""
        refuse_too_large(options, self._scheme, self._table.rows, self.device, self._free)

    def models(self, options: BenchOptions) -> Models:
        """Return the models of a point; those of another are let go before these are drawn."""
        wanted = tuple(getattr(options, axis.name) for axis in AXES if axis.of_model)
        if self._models is None or self._drawn_for != wanted:
            self._models = self._drawn_for = None
            if self.device.type == "cuda":
                torch.cuda.empty_cache()
            self.refuse_too_large(options)
            told = cut_model(options, self._scheme)
            if told is not None:
                self._warn(told)
            self._models = make_models(options, self._scheme, self.device)
            self._drawn_for = wanted
        return self._models


def _warm(store: Store, accesses: Accesses) -> None:
    """Fill the row cache of an ssd tier with the rows that are read most.

    Raises:
        ConfigError: it has none.
    """
    if not store.cache_capacity:
        raise ConfigError("--warm fills a row cache, and this budget leaves room for none",
                          hint="name its size: --row-cache 1GiB")  # fmt: skip
    store.warm(accesses.most_read(store.cache_capacity))
