"""Pages of a mapping: which are needed, which are resident, bring them, drop them.

Reading rows of a mapping that are not in memory faults one page at a time, which is several times
slower than asking for all of them first. So a store remembers the pages it has touched, asks for
the others in one batch, and makes no system call when all are known.
"""

import ctypes
import errno
import mmap
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import StorageError
from engramctl.runtime.kernel_cache import njit
from engramctl.storage.files.atomic import os_errors, storage_error
from engramctl.storage.io.row_map import (
    first_outside,
    locate,
    part_sizes,
    piece_of,
)
from engramctl.storage.reading.region import cut_short

PAGE = mmap.PAGESIZE
FILE_BITS = 48  # a place is the number of a file, and an offset below 2^48 in it: 256 TiB
_SHIFT = PAGE.bit_length() - 1
_POPULATE_READ = getattr(mmap, "MADV_POPULATE_READ", 22)
_CHUNK_BYTES = 8 << 20
_libc = ctypes.CDLL(None, use_errno=True)


def pages_for(num_bytes: int) -> int:
    """Return how many pages so many bytes take."""
    return -(-num_bytes // PAGE)


def page_key(number: int, page: int) -> int:
    """Return the number of a file and of a page in it as one key, which sorts by file and page."""
    return number << (FILE_BITS - _SHIFT) | page


@njit(nogil=True, cache=True)
def any_unseen(rows: Any, packed: Any, bases_SC2: Any, seen: Any) -> Any:
    """Tell whether a page of these rows was not seen before; see `unseen_pages`.

    A step whose rows are all in memory ends here: nothing is allocated, nothing marked.
    """
    if first_outside(rows, 0, rows.shape[0], packed) >= 0:
        raise IndexError("a row id is outside the table")
    parts, sizes = part_sizes(packed)
    for i in range(rows.shape[0]):
        piece = piece_of(rows[i], packed)
        places = locate(rows[i], piece, packed)
        for part in range(parts):
            first, base = places[part], bases_SC2[piece, part, 0]
            for page in range(first >> _SHIFT, ((first + sizes[part] - 1) >> _SHIFT) + 1):
                if not seen[page - base]:
                    return True
    return False


@njit(nogil=True, cache=True)
def unseen_pages(rows: Any, packed: Any, bases_SC2: Any, seen: Any) -> Any:
    """Collect the pages of these rows that were not seen before, and mark them.

    Args:
        rows: row ids, int64 (n,).
        packed: see RowMap.
        bases_SC2: for each piece and column, what to take from (address >> page shift) to get the
            page's position in `seen`, and to get its key; int64 (S, 1 or 2, 2).
        seen: uint8, one a page.

    Returns:
        Their keys, see `page_key`, int64.

    Raises:
        IndexError: a row id outside the map.
    """
    if first_outside(rows, 0, rows.shape[0], packed) >= 0:
        raise IndexError("a row id is outside the table")
    parts, sizes = part_sizes(packed)
    out = np.empty(rows.shape[0] * (((sizes[0] + sizes[1]) >> _SHIFT) + 4), np.int64)
    found = 0
    for i in range(rows.shape[0]):
        piece = piece_of(rows[i], packed)
        places = locate(rows[i], piece, packed)
        for part in range(parts):
            first, base = places[part], bases_SC2[piece, part, 0]
            for page in range(first >> _SHIFT, ((first + sizes[part] - 1) >> _SHIFT) + 1):
                if not seen[page - base]:
                    seen[page - base] = 1
                    out[found] = page - bases_SC2[piece, part, 1]
                    found += 1
    return out[:found]


def resident_pages(address: int, num_bytes: int) -> NDArray[np.bool_]:
    """Tell which pages of a mapping are in memory, by `mincore`.

    Returns:
        bool (pages,).

    Raises:
        StorageError: the kernel refused.
    """
    flags = np.zeros(pages_for(num_bytes), np.uint8)
    done = _libc.mincore(
        ctypes.c_void_p(address), ctypes.c_size_t(num_bytes), ctypes.c_void_p(flags.ctypes.data)
    )
    if done != 0:
        raise StorageError(f"mincore failed: {errno.errorcode.get(ctypes.get_errno())}")
    return (flags & 1).astype(np.bool_)


def populate(mapping: mmap.mmap, descriptor: int, path: Path, start: int, stop: int) -> None:
    """Make part of a file warm: its pages read, and entered into this process's page table.

    Before Linux 5.14 read alone. No page is touched: one that is not there is an error, no signal.

    Args:
        mapping: of the whole file.
        descriptor: the file.
        path: of the file, for messages.
        start: first byte.
        stop: byte after the last.

    Raises:
        StorageError: a page cannot be read: the file was cut, or its disk failed.
    """
    first = start // PAGE * PAGE
    try:
        mapping.madvise(_POPULATE_READ, first, stop - first)
    except OSError as error:
        with os_errors("read", path):
            _read_through(descriptor, first, stop, path)  # tells where, if it cannot be
        if error.errno != errno.EINVAL:
            raise storage_error(error, "read", path) from error


def _read_through(descriptor: int, start: int, stop: int, path: Path) -> None:
    buffer = memoryview(bytearray(min(stop - start, _CHUNK_BYTES)))
    at = start
    while at < stop:
        got = os.preadv(descriptor, [buffer[: stop - at]], at)
        if not got:
            raise cut_short(path, at, stop - at, 0)
        at += got


def drop_pages(mapping: mmap.mmap, descriptor: int) -> None:
    """Make a file cold: unmap its pages, then ask the page cache to let go of them.

    Dirty pages cannot be dropped, so the file is synced first. Residency must be read afterwards;
    the kernel may decline.
    """
    mapping.madvise(mmap.MADV_DONTNEED)
    os.fsync(descriptor)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
