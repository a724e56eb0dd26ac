"""Writing an n-gram dictionary into a folder whose row files are whole.

A record is the stored bytes of the rows, layer by layer, head by head. While one window of records
is written and hashed, the next is read.
"""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import xxhash
from numpy.typing import NDArray

from engramctl.runtime.threads import default_workers
from engramctl.storage.files.atomic import new_file, os_errors, write_all
from engramctl.storage.format.dictionary_entry import INDEX_FILE, RECORDS_FILE, Dictionary
from engramctl.storage.format.dictionary_index import NgramIndex
from engramctl.storage.format.manifest import Manifest
from engramctl.storage.io.stored_records import StoredRecords
from engramctl.storage.reading.table import TableFiles

WINDOW_BYTES = 16 << 20
_PIECE_BYTES = 2 << 20
RowsOf = Callable[[int, int, int], NDArray[np.integer]]
Progress = Callable[[int], None]


def write_dictionary(
    folder: Path,
    manifest: Manifest,
    dictionary: Dictionary,
    index: NgramIndex,
    rows_of: RowsOf,
    *,
    workers: int | None = None,
    window_bytes: int = WINDOW_BYTES,
    progress: Progress = lambda amount: None,
) -> Dictionary:
    """Write records and index; the same bytes for any workers or window.

    Memory: the index, and three times `window_bytes`.

    Args:
        folder: holds the row files.
        manifest: of the row files.
        dictionary: as planned.
        index: of the n-grams, in record order.
        rows_of: rows_of(layer, start, stop) gives the row ids of records [start, stop), integers
            (stop - start, heads_per_order).
        workers: reading threads (default: one a core).
        window_bytes: records made at a time.
        progress: told of bytes as they are written, headers included.

    Returns:
        The dictionary with its digests.

    Raises:
        StorageError: a read or write failed.
    """
    step = max(1, window_bytes // dictionary.record_bytes)
    table = TableFiles(folder, manifest)
    digests = {}
    with StoredRecords(table, workers or default_workers()) as records:

        def window(start: int) -> memoryview:
            stop = min(start + step, dictionary.entries)
            parts = [
                records.read(layer, rows_of(layer, start, stop).reshape(-1).astype(np.int64))
                for layer in dictionary.layers
            ]
            whole = np.stack([part.reshape(stop - start, -1) for part in parts], axis=1)
            return whole.reshape(-1).data

        parts = made_ahead(window, range(0, dictionary.entries, step))
        digests[RECORDS_FILE] = _write(folder, dictionary, 0, parts, progress)
    arrays = (index.remainders.astype("<u8"), index.offsets.astype("<u4"))
    parts = (one.view(np.uint8).data for one in arrays)
    digests[INDEX_FILE] = _write(folder, dictionary, 1, parts, progress)
    return dictionary.written(digests, manifest.table_xxh3_128)


def made_ahead(make: Callable[[int], memoryview], starts: Iterable[int]) -> Iterator[memoryview]:
    """Give what `make` makes of each start, the next being made meanwhile."""
    with ThreadPoolExecutor(1, thread_name_prefix="dictionary") as pool:
        coming = None
        for start in starts:
            following = pool.submit(make, start)
            if coming is not None:
                yield coming.result()
            coming = following
        if coming is not None:
            yield coming.result()


def _write(
    folder: Path,
    dictionary: Dictionary,
    number: int,
    parts: Iterable[memoryview],
    progress: Progress,
) -> tuple[str, ...]:
    """Write one of the files whole; returns its extents' digests."""
    facts = dictionary.files[number]
    path, header = folder / facts.file, dictionary.header(facts.file)
    digests, digest, position = [], xxhash.xxh3_128(), 0
    with os_errors("write", path), new_file(path) as descriptor:
        write_all(descriptor, memoryview(header), 0)
        progress(len(header))
        for part in parts:
            progress(len(part))
            while part:
                room = facts.extent_bytes - position % facts.extent_bytes
                piece = part[: min(room, _PIECE_BYTES)]
                write_all(descriptor, piece, len(header) + position)
                digest.update(piece)
                position, part = position + len(piece), part[len(piece) :]
                if position % facts.extent_bytes == 0:
                    digests.append(digest.hexdigest())
                    digest = xxhash.xxh3_128()
    if position % facts.extent_bytes:
        digests.append(digest.hexdigest())
    return tuple(digests)
