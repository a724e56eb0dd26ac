"""Other ways to read the same rows off a disk. Each returns the records of ids, as stored.

Peers with files of their own hold the first rows of the table; `make_cold` drops their files whole,
which favours none: nothing of them is read but by a sample.
"""

import contextlib
import mmap
import os
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.storage.io.pages import PAGE
from tests.benchmarks.cold.table import A_PAGE, SPEC, File

THREADS = 64
Records = NDArray[np.uint8]


@dataclass(frozen=True)
class Peer:
    """One of them.

    Attributes:
        name: what it is.
        rows: reads records, uint8 (n, record bytes); None: it is not installed.
        make_cold: drops what it holds in memory, all but the table's own pages.
        most: rows a sample, so that it takes a second and not a minute.
        target: how much faster we are to be.
        why: why it is not there.
    """

    name: str
    rows: Callable[[NDArray[np.int64]], Records] | None
    make_cold: Callable[[], None] = lambda: None
    most: int = 1 << 30
    target: float | None = None
    why: str = ""


def torch_index(file: File) -> Peer:
    """Torch indexing a RANDOM mapping: a fault a page."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a mapping cannot be written; nobody does
        source = torch.from_numpy(file.records)

    def rows(ids: NDArray[np.int64]) -> Records:
        at = torch.from_numpy(ids)
        found: Records = source[at // A_PAGE, at % A_PAGE].numpy()
        return found

    return Peer("torch indexing of a RANDOM mapping", rows, most=8192, target=4.5)


def pread_pool(file: File) -> Peer:
    """64 Python threads, each with its own aligned buffer and an equal part of the ids."""
    descriptor = os.open(file.path, os.O_RDONLY | os.O_DIRECT | os.O_CLOEXEC)
    pool = ThreadPoolExecutor(THREADS)
    buffers = [mmap.mmap(-1, PAGE) for _ in range(THREADS)]

    def some(number: int, ids: NDArray[np.int64], out: Records) -> None:
        buffer = buffers[number]
        data = np.frombuffer(buffer, np.uint8)
        for i, row in enumerate(ids.tolist()):
            os.preadv(descriptor, [buffer], file.first + row // A_PAGE * PAGE)
            at = row % A_PAGE * SPEC.record_bytes
            out[i] = data[at : at + SPEC.record_bytes]

    def rows(ids: NDArray[np.int64]) -> Records:
        out = np.empty((len(ids), SPEC.record_bytes), np.uint8)
        edges = [len(ids) * k // THREADS for k in range(THREADS + 1)]
        work = [
            pool.submit(some, k, ids[edges[k] : edges[k + 1]], out[edges[k] : edges[k + 1]])
            for k in range(THREADS)
        ]
        for one in work:
            one.result()
        return out

    return Peer(f"{THREADS} threads of O_DIRECT preads", rows)


def safetensors_slices(file: File) -> Peer:
    """A slice a row, as `safe_open` gives it."""
    from safetensors import safe_open

    def make_cold() -> None:  # read-ahead leaves folios of many pages: they go together or not
        file.mapping.madvise(mmap.MADV_DONTNEED)
        os.posix_fadvise(file.descriptor, 0, 0, os.POSIX_FADV_DONTNEED)

    def rows(ids: NDArray[np.int64]) -> Records:
        opened: Any = safe_open(file.path, "np")  # each time: its mapping would keep the pages
        (name,) = opened.keys()
        pages = opened.get_slice(name)
        out = np.empty((len(ids), SPEC.record_bytes), np.uint8)
        for i, row in enumerate(ids.tolist()):
            page = pages[row // A_PAGE : row // A_PAGE + 1].reshape(-1).view(np.uint8)
            at = row % A_PAGE * SPEC.record_bytes
            out[i] = page[at : at + SPEC.record_bytes]
        return out

    return Peer("safetensors slices, one a row", rows, make_cold, 96)


def lmdb_get(file: File, folder: Path, num_rows: int) -> Peer:
    """A get a row, read-ahead off."""
    try:
        lmdb: Any = import_module("lmdb")
    except ImportError as error:
        return Peer("LMDB get", None, why=str(error))
    path = folder / "lmdb"
    size = 4 * num_rows * SPEC.record_bytes
    with lmdb.open(str(path), map_size=size) as made, made.begin(write=True) as write:
        for row, record in enumerate(first_records(file, num_rows)):
            write.put(row.to_bytes(8, "big"), record, append=True)
    state = {"env": lmdb.open(str(path), map_size=size, readonly=True, readahead=False)}

    def make_cold() -> None:
        state["env"].close()  # its mapping would keep the pages
        drop_files(path)
        state["env"] = lmdb.open(str(path), map_size=size, readonly=True, readahead=False)

    def rows(ids: NDArray[np.int64]) -> Records:
        with state["env"].begin() as read:
            found = b"".join(read.get(row.to_bytes(8, "big")) for row in ids.tolist())
        return np.frombuffer(found, np.uint8).reshape(len(ids), -1)

    return Peer("LMDB get", rows, make_cold, 2048)


def rocksdb_get(file: File, folder: Path, num_rows: int) -> Peer:
    """A MultiGet of all rows, direct reads."""
    try:
        rocksdict: Any = import_module("rocksdict")
    except ImportError as error:
        return Peer("RocksDB MultiGet, direct", None, why=str(error))
    options = rocksdict.Options(raw_mode=True)
    options.set_use_direct_reads(True)
    table = rocksdict.BlockBasedOptions()
    table.set_block_cache(rocksdict.Cache(8 << 20))
    options.set_block_based_table_factory(table)
    path = str(folder / "rocksdb")
    with contextlib.closing(rocksdict.Rdict(path, options)) as made:
        batch = rocksdict.WriteBatch(raw_mode=True)
        for row, record in enumerate(first_records(file, num_rows)):
            batch.put(row.to_bytes(8, "big"), record)
            if row % 10_000 == 9_999:
                made.write(batch)
                batch = rocksdict.WriteBatch(raw_mode=True)
        made.write(batch)
        made.flush()
        made.compact_range(None, None)
    database = rocksdict.Rdict(path, options)

    def rows(ids: NDArray[np.int64]) -> Records:
        found = database[[row.to_bytes(8, "big") for row in ids.tolist()]]
        return np.frombuffer(b"".join(found), np.uint8).reshape(len(ids), -1)

    return Peer("RocksDB MultiGet, direct", rows, lambda: drop_files(Path(path)), 2048, 2.5)


def first_records(file: File, num_rows: int) -> Iterator[bytes]:
    """Give the records of the first rows, in order."""
    for start in range(0, num_rows, 10_000):
        ids = np.arange(start, min(start + 10_000, num_rows))
        yield from map(bytes, file.take(ids))


def drop_files(folder: Path) -> None:
    """Sync a folder's files and have the page cache let go of them."""
    for path in folder.iterdir():
        if path.is_file():
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
            os.close(descriptor)
