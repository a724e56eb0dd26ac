"""Rows to read, and what is known of them: a table of ours, or later a model's checkpoint."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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

    @property
    def data_bytes(self) -> int:
        """Bytes of all records."""
        rows = sum(self.rows.num_rows(layer) for layer in self.rows.layers)
        return rows * self.rows.record.record_bytes


def open_rows(path: Path) -> Opened:
    """Open a table or shards folder of ours.

    Raises:
        FormatError: not one, unfinished, or damaged as far as sizes and headers tell.
        StorageError: it cannot be read.
    """
    table = open_table(path)
    manifest = table.manifest
    return Opened(table, manifest.scheme, manifest.provenance, file_digest(path / MANIFEST))
