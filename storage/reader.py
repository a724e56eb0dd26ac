"""Opening a finished table: everything is checked but the rows themselves.

`open_table` compares manifest, folder, file sizes and headers; checksums are `verify`'s work.
`read_rows` is the plain reader that fast ones are checked against: one `pread` a record.
"""

import os
import shlex
import stat
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from engramctl.errors import FormatError, StorageError
from engramctl.storage.atomic import os_errors
from engramctl.storage.format import header_bytes
from engramctl.storage.geometry import Layout
from engramctl.storage.manifest import Manifest, Shard
from engramctl.storage.manifest_check import parse_manifest
from engramctl.storage.publish import MANIFEST, read_manifest
from engramctl.storage.record import RecordSpec


@dataclass(frozen=True)
class ShardFile:
    """One row file on disk: rows [row_start, row_stop) of a part.

    A row's address: `data_offset + layout.row_offset(part, row - row_start)`.
    """

    path: Path
    part: str
    row_start: int
    row_stop: int
    data_offset: int
    data_bytes: int


class TableFiles:
    """A table whose files are all there and have the right size and header."""

    def __init__(self, path: Path, manifest: Manifest) -> None:
        """Use `open_table`, which checks."""
        self.path = path
        self.manifest = manifest
        self._shards = {
            table.layer: tuple(
                ShardFile(path / s.file, s.part, *s.rows, s.data_offset, s.data_bytes)
                for s in table.shards
            )
            for table in manifest.layers
        }
        self._num_rows = {table.layer: table.num_rows for table in manifest.layers}

    @property
    def layers(self) -> tuple[int, ...]:
        """The layers that have a table, ascending."""
        return tuple(self._num_rows)

    @property
    def layout(self) -> Layout:
        """How rows lie: form, page_bytes, rows_per_page and addresses."""
        return self.manifest.layout

    @property
    def record(self) -> RecordSpec:
        """The geometry of one record."""
        return self.manifest.layout.record

    @property
    def data_bytes(self) -> int:
        """Bytes of row data in all files, headers left out."""
        return sum(shard.data_bytes for shards in self._shards.values() for shard in shards)

    def num_rows(self, layer: int) -> int:
        """Return the rows of a layer.

        Raises:
            ValueError: the layer has no table.
        """
        self._check_layer(layer)
        return self._num_rows[layer]

    def shards(self, layer: int) -> tuple[ShardFile, ...]:
        """Return the row files of a layer, each part in order of rows.

        Raises:
            ValueError: the layer has no table.
        """
        self._check_layer(layer)
        return self._shards[layer]

    def read_rows(
        self, layer: int, row_ids: ArrayLike
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Read rows one at a time: slow, plain, for checks.

        Args:
            layer: whose table.
            row_ids: integers (n,), each in [0, num_rows).

        Returns:
            (weights, scales): uint8 (n, weight_bytes) and uint8 (n, scale_bytes).

        Raises:
            ValueError: an id out of range (the first, with its position), before any read.
            StorageError: a read failed or ended early, with file and offset.
        """
        ids = np.asarray(row_ids)
        if ids.size and (ids.ndim != 1 or not np.issubdtype(ids.dtype, np.integer)):
            raise ValueError("row_ids must be integers of one dimension")
        bad = np.flatnonzero((ids < 0) | (ids >= self.num_rows(layer)))
        if bad.size:
            at = int(bad[0])
            raise ValueError(
                f"row id {ids[at]} at position {at} is outside [0, {self.num_rows(layer):,})"
            )
        record = self.record
        sizes = {
            "weight": record.weight_bytes,
            "scale": record.scale_bytes,
            "records": record.record_bytes,
        }
        out = np.empty((len(ids), record.record_bytes), np.uint8)
        column = 0
        for part in self.layout.parts:
            self._read_part(layer, part, ids, out[:, column : column + sizes[part]])
            column += sizes[part]
        return out[:, : record.weight_bytes].copy(), out[:, record.weight_bytes :].copy()

    def _read_part(
        self, layer: int, part: str, ids: NDArray[np.integer], out: NDArray[np.uint8]
    ) -> None:
        for shard in self._shards[layer]:
            if shard.part != part:
                continue
            wanted = np.flatnonzero((ids >= shard.row_start) & (ids < shard.row_stop))
            if not wanted.size:
                continue
            with os_errors("read", shard.path), shard.path.open("rb", buffering=0) as file:
                for i in wanted:
                    row = int(ids[i]) - shard.row_start
                    offset = shard.data_offset + self.layout.row_offset(part, row)
                    data = pread_exactly(file.fileno(), out.shape[1], offset, shard.path)
                    out[i] = np.frombuffer(data, np.uint8)

    def _check_layer(self, layer: int) -> None:
        if layer not in self._num_rows:
            known = ", ".join(str(one) for one in self._num_rows)
            raise ValueError(f"layer {layer} has no table; layers with one: {known}")


def pread_exactly(descriptor: int, num_bytes: int, offset: int, path: Path) -> bytes:
    """Read a byte range whole.

    Raises:
        StorageError: the file ends before it.
    """
    data = os.pread(descriptor, num_bytes, offset)
    while len(data) < num_bytes:
        more = os.pread(descriptor, num_bytes - len(data), offset + len(data))
        if not more:
            raise cut_short(path, offset, num_bytes, len(data))
        data += more
    return data


def cut_short(path: Path, offset: int, expected: int, found: int) -> StorageError:
    """Return the error for a file that ended before what should be read."""
    return StorageError(
        f"{path.name} ended while it was read",
        facts={
            "file": path,
            "offset": f"{offset:,}",
            "expected": f"{expected:,} bytes",
            "found": f"{found:,} bytes",
        },
        hint=f"the file changed while it was open; run: engramctl verify {path.parent}",
    )


def open_table(path: Path) -> TableFiles:
    """Open a finished table or shards folder and check all but the rows' bytes.

    Raises:
        FormatError: unfinished, not one of ours, an edited manifest, a missing, cut or replaced
            file; names file, expected and found.
        StorageError: it cannot be read.
    """
    manifest = parse_manifest(read_manifest(path), path / MANIFEST)
    again = rebuild_hint(path, manifest)
    for table in manifest.layers:
        for shard in table.shards:
            with os_errors("read", path / shard.file):
                _check_file(path, shard, manifest.layout, again)
    return TableFiles(path, manifest)


def rebuild_hint(path: Path, manifest: Manifest) -> str:
    """Return the words that make the folder again, for hints."""
    words = manifest.provenance.command or ("engramctl", "build")
    return f"run: {shlex.join(words)} -o {shlex.quote(str(path))} --force"


def _check_file(folder: Path, shard: Shard, layout: Layout, again: str) -> None:
    path = folder / shard.file
    expected = shard.data_offset + shard.data_bytes
    if not os.path.lexists(path):
        raise FormatError(
            f"shard {shard.file} is missing",
            facts={"file": path, "expected": f"{expected:,} bytes", "found": "no such file"},
            hint=again,
        )
    if path.resolve().parent != folder.resolve():
        raise FormatError(
            f"shard {shard.file} is a link that leaves the folder",
            facts={"file": path, "expected": "a file in the folder", "found": path.resolve()},
            hint=f"replace the link by the file it names, or {again}",
        )
    if not path.is_file():
        raise FormatError(f"shard {shard.file} is not a file", facts={"file": path}, hint=again)
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        facts = os.fstat(descriptor)
        found = facts.st_size
        if not stat.S_ISREG(facts.st_mode) or found != expected:
            side = f"{expected - found:,} bytes short"
            if found > expected:
                side = f"{found - expected:,} bytes too long"
            raise FormatError(
                f"shard {shard.file} is {side}",
                facts={
                    "file": path,
                    "expected": f"{expected:,} bytes",
                    "found": f"{found:,} bytes",
                },
                hint=f"the file was changed after it was written; {again}",
            )
        header = header_bytes(layout, shard.part, shard.rows[1] - shard.rows[0])
        if os.pread(descriptor, len(header), 0) != header:
            raise FormatError(
                f"shard {shard.file} has another header than the manifest says",
                facts={
                    "file": path,
                    "expected": ascii(header[8:].rstrip().decode()),
                    "found": ascii(os.pread(descriptor, 200, 8).rstrip()),
                },
                hint=f"the file was replaced or edited; {again}",
            )
    finally:
        os.close(descriptor)
