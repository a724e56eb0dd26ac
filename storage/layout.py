"""The same rows in another layout: what `layout` streams from one folder into another."""

import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.atomic import os_errors
from engramctl.storage.geometry import Layout
from engramctl.storage.plan import FilePlan
from engramctl.storage.reader import ShardFile, TableFiles, cut_short


class RowCopier:
    """Reads ranges of records from a table of any form; safe from several threads.

    Open files are kept until `close`; reads are `pread`, so a file that shrinks is an error, not
    a signal.
    """

    def __init__(self, source: TableFiles, target: Layout) -> None:
        """Open every row file.

        Args:
            source: the table to read, of any form.
            target: the layout to write, packed or paged, of the same record.
        """
        self.source = source
        self.target = target
        self._files: dict[Path, int] = {}
        for layer in source.layers:
            for shard in source.shards(layer):
                with os_errors("read", shard.path):
                    self._files[shard.path] = os.open(shard.path, os.O_RDONLY | os.O_CLOEXEC)

    def close(self) -> None:
        """Close the row files."""
        for descriptor in self._files.values():
            os.close(descriptor)
        self._files = {}

    def fill(self, file: FilePlan, row_start: int, num_rows: int, out: NDArray[np.uint8]) -> None:
        """Write records [row_start, row_start + num_rows) as pages or back to back.

        Args:
            file: what is written: a `records` part.
            row_start: first row.
            num_rows: how many.
            out: uint8 (data_bytes,), all of it written.
        """
        layout = self.target
        if layout.form == "packed":
            self.read_records(file.layer, row_start, out.reshape(num_rows, -1))
            return
        records = np.empty((num_rows, layout.record_bytes), np.uint8)
        self.read_records(file.layer, row_start, records)
        for block, rows in layout.blocks(out, num_rows):
            block[:] = records[rows].reshape(block.shape)
        layout.clear_unused(out, num_rows)

    def read_records(self, layer: int, row_start: int, out: NDArray[np.uint8]) -> None:
        """Read consecutive records, weights then scales.

        Args:
            layer: whose table.
            row_start: first row.
            out: uint8 (n, record_bytes), contiguous.

        Raises:
            StorageError: a read failed or ended early.
        """
        row_stop = row_start + len(out)
        for shard in self.source.shards(layer):
            first = max(row_start, shard.row_start)
            last = min(row_stop, shard.row_stop)
            if first < last:
                part = out[first - row_start : last - row_start]
                self._read(shard, first - shard.row_start, part)

    def _read(self, shard: ShardFile, row: int, out: NDArray[np.uint8]) -> None:
        """Read `len(out)` rows of one file, `row` counted from its first."""
        layout = self.source.layout
        if layout.form == "packed":
            self._pread(shard, row * layout.record_bytes, out.reshape(-1))
            return
        unit = layout.unit(shard.part)
        first = row // unit.num_rows
        last = -(-(row + len(out)) // unit.num_rows)
        data = np.empty((last - first) * unit.num_bytes, np.uint8)
        self._pread(shard, first * unit.num_bytes, data)
        if shard.part == "weight":
            out[:, : unit.num_bytes] = data.reshape(len(out), -1)
        elif shard.part == "scale":
            out[:, -unit.num_bytes :] = data.reshape(len(out), -1)
        else:
            skip = row - first * unit.num_rows
            records = np.empty((skip + len(out), layout.record_bytes), np.uint8)
            for block, rows in layout.blocks(data, len(records)):
                records[rows] = block.reshape(-1, layout.record_bytes)
            out[:] = records[skip:]

    def _pread(self, shard: ShardFile, offset: int, out: NDArray[np.uint8]) -> None:
        view = out.data
        position = shard.data_offset + offset
        with os_errors("read", shard.path):
            while view:
                count = os.preadv(self._files[shard.path], [view], position)
                if count == 0:
                    raise cut_short(shard.path, position, len(view), 0)
                view = view[count:]
                position += count
