"""Rows to read, and what is known of them: a table of ours, or a model's checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engramctl.checkpoints.opening import (
    check_heads,
    check_rows,
    is_checkpoint,
    open_checkpoint,
    places_digest,
)
from engramctl.errors import ConfigError
from engramctl.schemes import read_scheme
from engramctl.storage.checksum import file_digest
from engramctl.storage.manifest import Provenance
from engramctl.storage.publish import MANIFEST
from engramctl.storage.reader import open_table
from engramctl.storage.source import Source


@dataclass(frozen=True)
class Opened:
    """A source with its scheme.

    Attributes:
        rows: where the records are.
        scheme: the content of scheme.json.
        provenance: where the rows come from; the source's own.
        digest: xxh3-128 of what describes the source: its manifest, or a checkpoint's headers.
        family: of a checkpoint, else None.
    """

    rows: Source
    scheme: Mapping[str, Any]
    provenance: Provenance
    digest: str
    family: str | None = None

    @property
    def path(self) -> Path:
        """The folder or file."""
        return self.rows.path


def open_rows(path: Path, scheme: Path | None = None) -> Opened:
    """Open a table or shards folder of ours, or a model's checkpoint in place.

    Args:
        path: the folder or file.
        scheme: scheme.json of a checkpoint whose own files do not say it.

    Raises:
        FormatError: neither, unfinished, or damaged as far as sizes and headers tell.
        ConfigError: a checkpoint whose scheme is not known, or a scheme given for a table of ours.
        StorageError: it cannot be read.
    """
    if is_checkpoint(path):
        return _open_checkpoint(path, scheme)
    table = open_table(path)
    if scheme is not None:
        raise ConfigError(f"{path} has its scheme in its manifest", hint="leave out --scheme")
    manifest = table.manifest
    return Opened(table, manifest.scheme, manifest.provenance, file_digest(path / MANIFEST))


def _open_checkpoint(path: Path, file: Path | None) -> Opened:
    checkpoint = open_checkpoint(path)
    scheme = checkpoint.scheme
    if file is not None:
        scheme = replace(read_scheme(file), dtype=checkpoint.rows.record.dtype)
        check_rows(path, scheme, checkpoint.rows)
        check_heads(path, scheme, checkpoint.rows)
    if scheme is None:
        raise ConfigError(
            f"{path} does not say by which scheme its rows are read",
            facts={"family": checkpoint.family},
            hint="name one with --scheme FILE; engramctl rows ... --save-scheme FILE writes it",
        )
    origin = Provenance(command=("engramctl", "layout", str(path)))
    digest = places_digest(checkpoint.rows)
    return Opened(checkpoint.rows, scheme.to_dict(), origin, digest, checkpoint.family)
