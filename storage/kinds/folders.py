"""What a folder is, by the names in it: nothing below its first sub-folders is looked at."""

import os
import re
import shlex
from itertools import islice
from pathlib import Path

from engramctl.storage.kinds.files import beginning
from engramctl.storage.kinds.kind import PathKind

MANIFEST = "manifest.json"
_COUNTS = re.compile(rb'"schema"\s*:\s*"engramctl\.counts/')
_TABLE = re.compile(rb'"schema"\s*:\s*"engramctl\.table/')
_MOST_ENTRIES = 20_000
_MODEL = (".safetensors", ".gguf", ".done.json")


def folder_kind(path: Path) -> PathKind | None:
    """Return what a folder is; None: it may not be read, or is of no known kind."""
    names = _names(path)
    if names is None:
        return None
    here = shlex.quote(str(path))
    if not names:
        hint = "name another; what was to be here was never fetched, or is elsewhere"
        return PathKind("empty folder", "is an empty folder", hint, stands_in=True)
    if MANIFEST in names:
        return _ours(path, here)
    if _is_model(names):
        return PathKind(
            "checkpoint",
            "is a checkpoint of a model, not a folder that engramctl made",
            f"a checkpoint has no checksums to check; run: engramctl inspect {here}, or "
            f"engramctl layout {here} -o shards; compare with verify SHARDS --against {here}",
        )
    return _cache(path, names) or _above(path, names) or _part(names, here)


def _names(path: Path) -> list[str] | None:
    try:
        with os.scandir(path) as entries:
            return sorted(entry.name for entry in islice(entries, _MOST_ENTRIES))
    except OSError:
        return None


def _is_model(names: list[str]) -> bool:
    return any(name.endswith(_MODEL) for name in names)


def _ours(path: Path, here: str) -> PathKind | None:
    document = beginning(path / MANIFEST)
    if _COUNTS.search(document):
        return PathKind(
            "counts",
            "holds mined counts of n-grams, not tables",
            f"run: engramctl inspect {here}; engramctl layout tables --dictionary {here} -o shards "
            "adds them to tables",
        )
    if _TABLE.search(document):
        return PathKind("tables", "holds tables of rows", f"run: engramctl inspect {here}")
    return None


def _cache(path: Path, names: list[str]) -> PathKind | None:
    """Recognise a model in the cache of Hugging Face, or the whole cache."""
    if "snapshots" in names and ("refs" in names or "blobs" in names):
        try:
            revision = beginning(path / "refs" / "main").decode().strip()
        except UnicodeDecodeError:
            revision = ""
        known = _names(path / "snapshots") or []
        name = revision if revision in known else next(iter(known), "REVISION")
        snapshot = shlex.quote(str(path / "snapshots" / name))
        return PathKind(
            "Hugging Face cache",
            "is a model's place in the Hugging Face cache; its files are under snapshots/",
            f"name the snapshot: engramctl inspect {snapshot}",
        )
    models = [name for name in names if name.startswith("models--")]
    if models:
        first = shlex.quote(str(path / models[0] / "snapshots"))
        return PathKind(
            "Hugging Face cache",
            f"is a Hugging Face cache of {len(models):,} models",
            f"name the snapshot of one: ls {first}",
        )
    return None


def _above(path: Path, names: list[str]) -> PathKind | None:
    """Recognise a folder whose files are one folder further down."""
    found = []
    for name in names:
        inner = _names(path / name) or [] if (path / name).is_dir() else []
        if MANIFEST in inner or _is_model(inner):
            found.append(name)
    if not found:
        return None
    first = shlex.quote(str(path / found[0]))
    return PathKind(
        "folder above",
        f"holds nothing itself that engramctl reads; look in {', '.join(found[:4])}",
        f"name that folder: engramctl inspect {first}"
        + ("; config.json belongs beside them" if "config.json" in names else ""),
    )


def _part(names: list[str], here: str) -> PathKind | None:
    if any(name.endswith(".parquet") for name in names):
        return PathKind(
            "corpus",
            "holds Parquet files: a corpus",
            f"run: engramctl mine {here} -o counts",
        )
    if any(name.endswith(".safetensors.index.json") for name in names):
        return PathKind(
            "index without its shards",
            "holds the index of a checkpoint, and none of its shards",
            "fetch the *.safetensors that hold the tables into this folder",
        )
    if "config.json" in names or "tokenizer.json" in names:
        return PathKind(
            "model without weights",
            "holds a model's config or tokenizer, and none of its weights",
            "fetch the *.safetensors that hold the tables into this folder",
        )
    return None
