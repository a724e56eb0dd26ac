"""Finished folders of ours, with what hashing and storage each know of them, checked."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from engramctl.counts.manifest import COUNTS_SCHEMA
from engramctl.counts.verify import verify_counts
from engramctl.errors import CheckFailed, ConfigError, EngramError
from engramctl.hashing import Lookup, Scheme, lookup_from_dict
from engramctl.storage.files.published import MANIFEST, read_manifest
from engramctl.storage.kinds.files import is_log
from engramctl.storage.reading.table import TableFiles, open_table, rebuild_hint
from engramctl.storage.verifying.integrity import VerifyReport, verify
from engramctl.storage.verifying.ngram_log import verify_log


def verified_bytes(path: Path) -> int | None:
    """Return the bytes `verify` looks at, by an unchecked manifest; None: no idea."""
    try:
        if is_log(path):
            return path.stat().st_size
        manifest = read_manifest(path)
        files = [shard for layer in manifest["layers"] for shard in layer["shards"]]
        files += (manifest["dictionary"] or {"files": []})["files"]
        return sum(int(file["data_bytes"]) for file in files)
    except (EngramError, OSError, LookupError, TypeError, ValueError, OverflowError):
        return None


def verify_path(path: Path, progress: Callable[[int], None]) -> VerifyReport:
    """Check what is ours: rows and scheme of a table, the files of counts, an n-gram log.

    Args:
        path: tables, shards, counts or such a file.
        progress: told of bytes as they are checked.

    Raises:
        CheckFailed: the first thing that is wrong.
        FormatError: unfinished, or not one of ours.
        StorageError: it cannot be read.
    """
    if is_log(path):
        return verify_log(path, progress)
    manifest = read_manifest(path)
    if manifest.get("schema") == COUNTS_SCHEMA:
        return verify_counts(path, manifest)
    report = verify(path, progress=progress)
    check_scheme(open_table(path))
    return report


def check_scheme(table: TableFiles) -> Lookup:
    """Derive a table's scheme again and compare it with the rows that are there.

    Raises:
        CheckFailed: a derived constant, or rows, layers, row_dim or dtype differ.
    """
    manifest = table.manifest
    place = {"file": table.path / MANIFEST}
    try:
        scheme = lookup_from_dict(dict(manifest.scheme))
    except ConfigError as error:
        raise CheckFailed(error.message, facts={**place, **error.facts}, hint=error.hint) from error
    expected: dict[str, Any] = {
        "rows": {layer: scheme.num_rows(layer) for layer in sorted(scheme.layers)},
        "row_dim": scheme.row_dim,
        "dtype": scheme.dtype,
        "dictionary": None,
    }
    found: dict[str, Any] = {
        "rows": {layer: table.num_rows(layer) for layer in table.layers},
        "row_dim": table.record.row_dim,
        "dtype": table.record.dtype,
        "dictionary": None,
    }
    if manifest.dictionary is not None and isinstance(scheme, Scheme):
        names = ("orders", "heads_per_order", "key_bits")
        expected["dictionary"] = {name: getattr(scheme, name) for name in names}
        found["dictionary"] = {name: getattr(manifest.dictionary, name) for name in names}
    for name, wanted in expected.items():
        if found[name] != wanted:
            raise CheckFailed(
                f"{table.path} does not fit its own scheme: {name} differ",
                facts={**place, "expected": wanted, "found": found[name]},
                hint=rebuild_hint(table.path, manifest),
            )
    return scheme
