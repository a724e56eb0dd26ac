"""The n-gram dictionary's files: records that hold an n-gram's rows of all layers, and the index.

A record is the stored bytes of the rows, layer by layer, head by head. Both files are safetensors
whose data begin at 4,096 bytes. The files are bound to their table by `table_digest`.
"""

import json
import os
import struct
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from engramctl.errors import CheckFailed, FormatError
from engramctl.storage.atomic import os_errors
from engramctl.storage.checksum import hash_range
from engramctl.storage.format import ALIGNMENT_BYTES, EXTENT_BYTES
from engramctl.storage.ngram_index import NgramIndex
from engramctl.storage.ngram_manifest import INDEX_FILE, RECORDS_FILE, NgramManifest
from engramctl.storage.region import cut_short
from engramctl.storage.source import RecordReader, Source
from engramctl.storage.writer import default_workers

WINDOW_BYTES = 32 << 20
RowsOf = Callable[[int, int, int], NDArray[np.integer]]
_STALE = "delete the dictionary, or lay out again"


def _header(tensors: dict[str, tuple[str, list[int], int]]) -> bytes:
    begin, document = 0, {}
    for name, (dtype, shape, size) in tensors.items():
        offsets = [begin, begin + size]
        document[name] = {"dtype": dtype, "shape": shape, "data_offsets": offsets}
        begin += size
    text = json.dumps(document, separators=(",", ":")).encode()
    return struct.pack("<Q", ALIGNMENT_BYTES - 8) + text.ljust(ALIGNMENT_BYTES - 8, b" ")


def records_header(entries: int, record_bytes: int) -> bytes:
    """Return the 4,096 bytes before the records."""
    return _header({"records": ("U8", [entries, record_bytes], entries * record_bytes)})


def index_header(entries: int, bucket_bits: int) -> bytes:
    """Return the 4,096 bytes before the index: remainders U64, then offsets U32."""
    places = (1 << bucket_bits) + 1
    return _header(
        {
            "remainders": ("U64", [entries], 8 * entries),
            "offsets": ("U32", [places], 4 * places),
        }
    )


def write_ngrams(
    folder: Path,
    index: NgramIndex,
    rows_of: RowsOf,
    source: Source,
    *,
    orders: Sequence[int],
    heads_per_order: int,
    table_xxh3_128: str,
    counts_xxh3_128: str | None = None,
    workers: int | None = None,
    window_bytes: int = WINDOW_BYTES,
    extent_bytes: int = EXTENT_BYTES,
    progress: Callable[[int], None] = lambda amount: None,
) -> dict[str, Any]:
    """Write both files into a folder in the making; the same bytes for any workers or window.

    Memory: the index, and about twice `window_bytes`.

    Args:
        folder: a `PartialDirectory`'s path.
        index: of the n-grams, in record order.
        rows_of: rows_of(layer, start, stop) gives the row ids of records [start, stop), integers
            (stop - start, heads_per_order).
        source: the table.
        orders: the scheme's.
        heads_per_order: rows an n-gram has in a layer.
        table_xxh3_128: `table_digest` of the table.
        counts_xxh3_128: digest of the counts' manifest.
        workers: reading threads (default: one a core).
        window_bytes: records made at a time.
        extent_bytes: data bytes under one checksum.
        progress: told of bytes as they are written.

    Returns:
        The manifest's `dictionary` object.

    Raises:
        StorageError: a read or write failed.
    """
    layers, width = source.layers, source.record.record_bytes
    record_bytes = len(layers) * heads_per_order * width
    step = max(1, window_bytes // record_bytes)
    threads = workers or default_workers()

    def windows() -> Iterator[memoryview]:
        with RecordReader(source) as reader, ThreadPoolExecutor(threads) as pool:
            for start in range(0, len(index), step):
                stop = min(start + step, len(index))
                out = np.empty((stop - start, len(layers), heads_per_order, width), np.uint8)
                for number, layer in enumerate(layers):
                    rows = np.ascontiguousarray(rows_of(layer, start, stop), dtype=np.int64)
                    out[:, number] = _read_rows(reader, layer, rows, pool, threads)
                yield out.reshape(-1).data

    header = records_header(len(index), record_bytes)
    records = _write(folder / RECORDS_FILE, header, windows(), extent_bytes, progress)
    parts = [index.remainders.astype("<u8").view(np.uint8).data]
    parts.append(index.offsets.astype("<u4").view(np.uint8).data)
    header = index_header(len(index), index.bucket_bits)
    indexed = _write(folder / INDEX_FILE, header, iter(parts), extent_bytes, progress)
    return {
        "entries": len(index),
        "orders": list(orders),
        "record_bytes": record_bytes,
        "layers": list(layers),
        "heads_per_order": heads_per_order,
        "bucket_bits": index.bucket_bits,
        "key_bits": index.key_bits,
        "files": [records, indexed],
        "table_xxh3_128": table_xxh3_128,
        "counts_xxh3_128": counts_xxh3_128,
    }


def _read_rows(
    reader: RecordReader,
    layer: int,
    rows: NDArray[np.int64],
    pool: ThreadPoolExecutor,
    threads: int,
) -> NDArray[np.uint8]:
    distinct, places = np.unique(rows, return_inverse=True)
    found = np.empty((len(distinct), reader.source.record.record_bytes), np.uint8)

    def read(part: NDArray[np.intp]) -> None:
        for place in part.tolist():
            reader.read(layer, int(distinct[place]), found[place : place + 1])

    list(pool.map(read, np.array_split(np.arange(len(distinct)), threads)))
    return found[places.reshape(rows.shape)]


def _write(
    path: Path,
    header: bytes,
    parts: Iterator[memoryview],
    extent_bytes: int,
    progress: Callable[[int], None],
) -> dict[str, Any]:
    digests, digest, position = [], xxhash.xxh3_128(), 0
    with os_errors("write", path), path.open("wb", buffering=0) as file:
        os.write(file.fileno(), header)
        for part in parts:
            progress(len(part))
            while part:
                room = extent_bytes - position % extent_bytes
                piece = part[: min(room, 8 << 20)]
                count = os.write(file.fileno(), piece)
                digest.update(piece[:count])
                position, part = position + count, part[count:]
                if position % extent_bytes == 0:
                    digests.append(digest.hexdigest())
                    digest = xxhash.xxh3_128()
    if position % extent_bytes:
        digests.append(digest.hexdigest())
    return {
        "file": path.name,
        "data_offset": len(header),
        "data_bytes": position,
        "extent_bytes": extent_bytes,
        "xxh3_128": digests,
    }


class NgramFile:
    """An open n-gram dictionary; safe from several threads. A context manager."""

    def __init__(self, folder: Path, entry: NgramManifest, index: NgramIndex, file: int) -> None:
        """Use `open`, which checks."""
        self.folder, self.entry, self.index = folder, entry, index
        self._file = file

    @classmethod
    def open(cls, folder: Path, entry: NgramManifest, table_xxh3_128: str) -> "NgramFile":
        """Open and check sizes, headers, index and that the table is the one it was made from.

        Raises:
            FormatError: another table, or files that are not what the manifest says.
            StorageError: they cannot be read.
        """
        if entry.table_xxh3_128 != table_xxh3_128:
            raise FormatError(
                f"the n-gram dictionary of {folder} belongs to another table",
                facts={"expected": table_xxh3_128, "found": entry.table_xxh3_128},
                hint=_STALE,
            )
        bits = entry.document["bucket_bits"]
        headers = [
            records_header(entry.entries, entry.record_bytes),
            index_header(entry.entries, bits),
        ]
        for header, facts in zip(headers, entry.document["files"], strict=True):
            path = folder / facts["file"]
            with os_errors("read", path), path.open("rb") as file:
                size, expected = os.fstat(file.fileno()).st_size, len(header) + facts["data_bytes"]
                if size != expected or file.read(len(header)) != header:
                    raise FormatError(
                        f"{path.name} is not what the manifest says",
                        facts={
                            "file": path,
                            "expected": f"{expected:,} bytes",
                            "found": f"{size:,} bytes",
                        },
                        hint=_STALE,
                    )
        path = folder / INDEX_FILE
        with os_errors("read", path), path.open("rb") as file:
            file.seek(ALIGNMENT_BYTES)
            remainders = np.fromfile(file, "<u8", entry.entries)
            offsets = np.fromfile(file, "<u4", (1 << bits) + 1)
        index = NgramIndex(len(entry.orders), entry.key_bits, remainders, offsets)
        with os_errors("read", folder / RECORDS_FILE):
            opened = os.open(folder / RECORDS_FILE, os.O_RDONLY | os.O_CLOEXEC)
        return cls(folder, entry, index, opened)

    def close(self) -> None:
        """Close the file; twice is once."""
        opened, self._file = self._file, -1
        if opened >= 0:
            os.close(opened)

    def __enter__(self) -> "NgramFile":
        """Return itself; leaving closes the file."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close the file."""
        self.close()

    def find(self, order_index: int, keys: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Return the record of each key or -1; see `NgramIndex.find`."""
        return self.index.find(order_index, keys)

    def read(self, records: NDArray[np.integer]) -> NDArray[np.uint8]:
        """Read records, each with one `pread`.

        Args:
            records: numbers from `find`, (n,), none of them -1.

        Returns:
            uint8 (n, record_bytes).

        Raises:
            ValueError: no such record.
            StorageError: a read failed or ended early.
        """
        size, path = self.entry.record_bytes, self.folder / RECORDS_FILE
        out = np.empty((len(records), size), np.uint8)
        with os_errors("read", path):
            for place, record in enumerate(records.tolist()):
                if not 0 <= record < self.entry.entries:
                    raise ValueError(f"record {record} is not in [0, {self.entry.entries:,})")
                offset = ALIGNMENT_BYTES + record * size
                count = os.preadv(self._file, [out[place].data], offset)
                if count != size:
                    raise cut_short(path, offset, size, count)
        return out

    def verify(self, progress: Callable[[int], None] = lambda amount: None) -> int:
        """Compare every extent's checksum; returns the bytes that were hashed.

        Raises:
            CheckFailed: the first extent that differs.
            StorageError: a read failed.
        """
        total = 0
        for facts in self.entry.document["files"]:
            path, extent = self.folder / facts["file"], facts["extent_bytes"]
            with os_errors("read", path), path.open("rb", buffering=0) as file:
                for number, expected in enumerate(facts["xxh3_128"]):
                    begin = number * extent
                    size = min(extent, facts["data_bytes"] - begin)
                    found = hash_range(file.fileno(), facts["data_offset"] + begin, size)
                    if found != expected:
                        raise CheckFailed(
                            f"{path.name} is damaged at offset {facts['data_offset'] + begin:,}",
                            facts={"file": path, "expected": expected, "found": found},
                            hint=_STALE,
                        )
                    total += size
                    progress(size)
        return total
