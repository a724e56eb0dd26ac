"""A process that reads rows through the page cache, and counts the pages that were not there.

    python -m tests.benchmarks.caching.page_child FILE

It says `ready`; takes chunks from stdin, each the number of its rows (int64) and their pages
(int32); answers each with how many of these pages were absent. `mincore` asks the kernel before
every read, of a mapping that is never touched, so that no page tables grow; `pread` reads as many
bytes as a row has, with read-ahead off.
"""

import mmap
import os
import sys
from typing import Any, BinaryIO

import numpy as np
from numba import types

from engramctl.runtime.kernel_cache import njit
from engramctl.storage.io.pages import PAGE
from engramctl.storage.readers.system_calls import pread
from tests.benchmarks.cold.table import SPEC

mincore = types.ExternalFunction("mincore", types.int32(types.intp, types.intp, types.intp))


@njit(nogil=True)
def read_pages(
    pages: Any, descriptor: Any, mapping: Any, page_bytes: Any, record_bytes: Any, flag: Any,
    buffer: Any,
) -> Any:  # fmt: skip
    """Read a row of each page; returns how many were absent, or -1 when a call failed."""
    absent = 0
    for page in pages:
        at = np.int64(page) * page_bytes
        if mincore(mapping + at, page_bytes, flag.ctypes.data) != 0:
            return -1
        absent += 1 - (flag[0] & 1)
        if pread(descriptor, buffer.ctypes.data, record_bytes, at) != record_bytes:
            return -1
    return absent


def served(file: str, source: BinaryIO) -> None:
    """Answer chunks until there are no more."""
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_RANDOM)
    mapping = mmap.mmap(descriptor, 0, mmap.MAP_SHARED, mmap.PROT_READ)
    start, last = np.frombuffer(mapping, np.uint8).ctypes.data, len(mapping) // PAGE
    flag, buffer = np.zeros(8, np.uint8), np.zeros(PAGE, np.uint8)

    def absent(pages: "np.ndarray[Any, np.dtype[np.int32]]") -> int:
        assert pages.min(initial=0) >= 0
        assert pages.max(initial=0) < last
        count = read_pages(pages, descriptor, start, PAGE, SPEC.record_bytes, flag, buffer)
        assert count >= 0, "mincore or pread failed"
        return int(count)

    absent(np.zeros(0, np.int32))  # compiles
    print("ready", flush=True)
    while head := source.read(8):
        pages = np.frombuffer(source.read(4 * int(np.frombuffer(head, np.int64)[0])), np.int32)
        print(absent(pages), flush=True)


if __name__ == "__main__":
    served(sys.argv[1], sys.stdin.buffer)
