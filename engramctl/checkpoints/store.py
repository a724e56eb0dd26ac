"""`open_store` for any path: a folder of ours, or a model's files served from where they lie."""

import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch

from engramctl.checkpoints.opening import check_heads, check_rows, is_checkpoint, open_checkpoint
from engramctl.errors import ConfigError
from engramctl.hashing import Lookup
from engramctl.storage import Store
from engramctl.storage import open_store as open_source


def open_store(
    path: Path | str,
    tier: str = "ssd",
    budget_bytes: int | None = None,
    dtype: torch.dtype = torch.bfloat16,
    device: torch.device | str = "cpu",
    scheme: Lookup | None = None,
    *,
    engine: str = "auto",
    cache_bytes: int | None = None,
) -> Store:
    """Open rows for lookups where they lie: nothing is copied to disk or converted.

    What comes of a checkpoint has no checksums, so every scale is looked at as its row is read.

    Args:
        path: a folder of ours, a model's folder of safetensors files or one of those, a folder of
            raw shards, or a GGUF file.
        tier: see `engramctl.storage.open_store`, as the next three.
        budget_bytes: most memory the rows may take.
        dtype: of gathered rows.
        device: where gathered rows go.
        scheme: of a checkpoint whose own files do not say it; compared with its tables. Needed for
            `Store.scheme` alone: rows are read without.
        engine: see `engramctl.storage.open_store`.
        cache_bytes: see `engramctl.storage.open_store`.

    Raises:
        ConfigError: as `engramctl.storage.open_store`; a scheme given for a folder of ours, or one
            that a checkpoint's config.json contradicts.
        FormatError: no table of a known family, what is wrong with it, or a scheme of others.
        StorageError: a file cannot be read, or the rows exceed the budget.
        TierUnavailable: this machine lacks the tier or the device.
    """
    path = Path(path)
    if not is_checkpoint(path):
        if scheme is not None:
            raise ConfigError(f"{path} has its scheme in its manifest", hint="leave out scheme=")
        return open_source(
            path, tier, budget_bytes, dtype, device, engine=engine, cache_bytes=cache_bytes
        )
    checkpoint = open_checkpoint(path, scheme=scheme)
    found = checkpoint.scheme if scheme is None else scheme
    if scheme is not None:
        check_rows(path, scheme, checkpoint.rows)
        check_heads(scheme, checkpoint)
    document: Mapping[str, Any] | None = None if found is None else found.to_dict()
    store = open_source(
        checkpoint.rows, tier, budget_bytes, dtype, device,
        engine=engine, scheme=document, cache_bytes=cache_bytes,
    )  # fmt: skip
    words = os.path.abspath(path), tier, budget_bytes, dtype, str(device), scheme
    store.reopen = partial(open_store, *words, engine=engine, cache_bytes=cache_bytes)
    return store
