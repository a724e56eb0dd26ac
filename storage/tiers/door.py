"""`open_store`: a folder and a tier's name in, a store out."""

import os
import shlex
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from engramctl.errors import ConfigError, FormatError, TierUnavailable
from engramctl.storage.io.pages import PAGE
from engramctl.storage.reading.source import CheckpointTables, Source
from engramctl.storage.reading.table import open_table
from engramctl.storage.record.dtypes import DTYPES
from engramctl.storage.record_log.self_filled import SelfFilled
from engramctl.storage.tiers.gpu import GpuStore
from engramctl.storage.tiers.host import HostStore
from engramctl.storage.tiers.pinned_host import PinnedHostStore
from engramctl.storage.tiers.ssd import SsdStore
from engramctl.storage.tiers.staged import StagedStore
from engramctl.storage.tiers.store import Store
from engramctl.storage.tiers.tier_list import TierList, read_tiers

READING_BYTES = 64 << 20  # of a budget, at least, is for rows on their way
LEAST_CACHE_RECORDS = 16


def tier_missing(tier: str) -> str | None:
    """Return why this machine lacks a tier, or one of a mixture; None: it does not."""
    return cuda_missing() if read_tiers(tier).uses("gpu") else None


def cuda_missing() -> str | None:
    """Return why this machine has no CUDA device, or None."""
    if torch.cuda.is_available():
        return None
    return "torch finds no CUDA device" if torch.version.cuda else "torch was built without CUDA"


def indexed(device: torch.device | str) -> torch.device:
    """Return a device as the tensors on it name it: `cuda` is the current one, with its index.

    Raises:
        ConfigError: neither the CPU nor a CUDA device.
        TierUnavailable: a CUDA device this machine lacks.
    """
    try:
        where = torch.device(device)
    except RuntimeError as error:
        raise _unknown(device) from error
    if where.type == "cpu":
        return where
    if where.type != "cuda":
        raise _unknown(device)  # addresses of its memory would go to kernels of the CPU
    missing = cuda_missing()
    if missing:
        raise TierUnavailable(f"there is no device {where} here: {missing}")
    index = torch.cuda.current_device() if where.index is None else where.index
    if index >= torch.cuda.device_count():
        raise TierUnavailable(
            f"there is no device {where} here", facts={"CUDA devices": torch.cuda.device_count()}
        )
    return torch.device("cuda", index)


def _unknown(device: torch.device | str) -> ConfigError:
    return ConfigError(f"unknown device '{device}'", hint="name cpu, cuda or cuda:N")


def open_store(
    path: Path | str | Source,
    tier: str = "ssd",
    budget_bytes: int | None = None,
    dtype: torch.dtype = torch.bfloat16,
    device: torch.device | str = "cpu",
    *,
    engine: str = "auto",
    scheme: Mapping[str, Any] | None = None,
    cache_bytes: int | None = None,
    fill: SelfFilled | None = None,
    capture_slots: int = 0,
) -> Store:
    """Open a table for lookups.

    Args:
        path: a folder written by `engramctl build` or `engramctl layout`, in any layout; or rows
            that are open already, where they lie: `engramctl.checkpoints.open_store` opens a
            model's files.
        tier: `gpu`, `host` or `ssd`; or a mixture: the tier that holds every row, and before it
            faster ones that keep some, each with the bytes of its row cache: `host:16GiB,ssd`.
        budget_bytes: most memory the rows may take; default: what there is. On `ssd`, rows are
            then read past the page cache, into at most so much memory of the store's own.
        dtype: of gathered rows, torch.bfloat16 or torch.float32; or torch.uint8, the records as
            they are stored, values then scales, (.., record_bytes), for who dequantises them.
        device: where gathered rows go; for `gpu` the CUDA device (default: the current one).
        engine: what reads on `ssd`: auto, or io_uring, pread, willneed by name; what gathers on
            `gpu`: triton or torch, all other names are auto there.
        scheme: document of the scheme of rows that do not say theirs.
        cache_bytes: of the budget of an `ssd` tier, what keeps rows that were read, all it needs
            beside them included (default: three quarters of the budget, but 64 MiB are left for
            rows on their way; 0: no row is kept). Without a budget, the budget is 64 MiB more.
            A mixture's size of `host` is the same; one without `host` has no such cache.
        fill: a dictionary that what `prefetch` is asked for with keys fills, for an `ssd` tier with
            a budget and no row cache on a GPU. One process at a time has it; forked children and
            stores that are pickled and opened again do not.
        capture_slots: how many fixed outputs `Store.slot` may give at a time, for steps that are
            captured in CUDA graphs.

    Warns:
        RuntimeWarning: a medium on which a cold step takes over 50 ms, with the tokens/s to expect.

    Raises:
        ConfigError: unknown tier, dtype, device or engine; tiers that are no mixture (see
            `read_tiers`); a row cache or a dictionary to be filled of another tier, or such as
            cannot be.
        TierUnavailable: this machine lacks the tier or the device.
        FormatError: the folder is not a finished table, or was altered; rows of a type that is
            widened when it is laid out; a scale of a checkpoint
            cannot be (found when it is read: opening for `gpu`, or `host` for a GPU; else in
            `gather`).
        StorageError: the table exceeds the budget, or a row cache the memory there is; or the table
            cannot be read.
    """
    tiers = read_tiers(tier)
    if fill is not None and tiers.cache_bytes("gpu"):
        raise ConfigError(
            "a dictionary is filled by keys of n-grams, which a row cache on a GPU does not take",
            facts={"found": tiers.name},
            hint="leave the row cache of gpu out: host:1GiB,ssd",
        )
    missing = tier_missing(tier)
    if missing:
        raise TierUnavailable(f"there is no gpu tier here: {missing}")
    where = indexed(device)
    if tiers.uses("gpu") and where.type == "cpu":
        where = indexed("cuda")
    source = open_table(path) if isinstance(path, Path | str) else path
    if isinstance(source, CheckpointTables) and source.packing is not None:
        raise FormatError(
            f"the rows of {source.path} are {source.packing.name}, which no tier looks up",
            facts={"expected": ", ".join(DTYPES), "found": source.packing.name},
            hint="lay them out as f32, or with --dtype as another: "
            f"engramctl layout {shlex.quote(str(source.path))} -o shards",
        )
    budget, cache = shared_budget(tiers, budget_bytes, cache_bytes, source.record.record_bytes)
    if fill is not None and (tiers.whole != "ssd" or budget is None):
        raise ConfigError(
            "only an ssd tier with a budget fills a dictionary",
            hint="give budget_bytes, or cache_bytes",
        )
    if capture_slots < 0:
        raise ConfigError("capture_slots must not be negative", facts={"found": capture_slots})
    store = _kind(tiers, where)(source, dtype, where, budget, engine, scheme, cache, fill, tiers)
    store.capture_slots = capture_slots
    if isinstance(path, Path | str):
        words = os.path.abspath(path), tier, budget_bytes, dtype, str(where)
        others: dict[str, Any] = {
            "engine": engine, "scheme": scheme, "cache_bytes": cache_bytes,
            "capture_slots": capture_slots,
        }  # fmt: skip
        store.reopen = partial(open_store, *words, **others)
    return store


def _kind(tiers: TierList, device: torch.device) -> Callable[..., Store]:
    """Return what serves these tiers to a device."""
    if tiers.whole == "gpu":
        return GpuStore
    if device.type == "cuda":
        return PinnedHostStore if tiers.name == "host" else StagedStore
    return HostStore if tiers.whole == "host" else SsdStore


def shared_budget(
    tiers: TierList, budget_bytes: int | None, cache_bytes: int | None, record_bytes: int
) -> tuple[int | None, int]:
    """Return the budget, and what of it is the row cache's: of a mixture what its name says.

    Args:
        tiers: to be opened.
        budget_bytes: see `open_store`.
        cache_bytes: see `open_store`.
        record_bytes: of a stored row.

    Raises:
        ConfigError: there can be no such cache.
    """
    if tiers.whole != "ssd":
        if cache_bytes:
            raise ConfigError(
                f"the {tiers.whole} tier has no row cache: all its rows are in memory",
                hint="leave cache_bytes out, or open the ssd tier",
            )
        return budget_bytes, 0
    named = tiers.cache_bytes("host")
    if named and cache_bytes is not None:
        raise ConfigError(
            f"{tiers.name} says how large its row cache is",
            facts={"cache_bytes": f"{cache_bytes:,}"},
            hint="leave cache_bytes out",
        )
    if named and budget_bytes is not None and named >= budget_bytes:
        raise ConfigError(
            f"the budget leaves no memory for rows on their way beside host in {tiers.name}",
            facts={"expected": f"more than {named:,} bytes", "found": f"{budget_bytes:,} bytes"},
            hint="leave budget_bytes out: it is then 64 MiB more",
        )
    if tiers.caches and not named:
        if cache_bytes:
            raise ConfigError(
                f"{tiers.name} has no row cache in host memory",
                facts={"cache_bytes": f"{cache_bytes:,}"},
                hint="name it, between the tiers: host:SIZE",
            )
        return budget_bytes, 0
    cache_bytes = named or cache_bytes
    if cache_bytes is None:
        reading = max(READING_BYTES, (budget_bytes or 0) // 4)
        return budget_bytes, max(0, (budget_bytes or 0) - reading)
    if cache_bytes and cache_bytes < LEAST_CACHE_RECORDS * record_bytes + PAGE:
        raise ConfigError(
            "the row cache is too small",
            facts={"expected": f"at least {LEAST_CACHE_RECORDS * record_bytes + PAGE:,} bytes",
                   "found": f"{cache_bytes:,} bytes"},
        )  # fmt: skip
    if budget_bytes is None and cache_bytes:
        return cache_bytes + READING_BYTES, cache_bytes
    return budget_bytes, cache_bytes
