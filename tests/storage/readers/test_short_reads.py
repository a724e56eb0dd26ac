"""A read that brings less than was asked is read on, wherever the rest begins."""

import ctypes
import mmap
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from engramctl.errors import StorageError
from engramctl.storage.readers.batch import Batch, ReadEngine
from engramctl.storage.readers.open_files import OpenFiles
from engramctl.storage.readers.pread_engine import PreadEngine
from engramctl.storage.readers.uring_engine import UringEngine
from tests.storage.readers.ranges import PAGE, random_file


def test_bytes_that_came_are_not_asked_for_again(tmp_path: Path) -> None:
    """As after a short read: some bytes of each range have come before."""
    path = random_file(tmp_path / "a.bin", 9 * PAGE)
    memory = np.full(9 * PAGE, 0xA5, np.uint8)
    ranges_R5 = np.array(
        [[0, k * PAGE, PAGE, memory.ctypes.data + k * PAGE, PAGE] for k in range(9)]
    )
    batch = Batch.of(ranges_R5)
    batch.got_R[:] = [512 * k for k in range(9)]
    files = OpenFiles([path])
    engine = UringEngine(files, 4)
    engine.start(batch).wait()
    files.check(batch)
    assert (batch.got_R >= PAGE).all()
    want = np.frombuffer(path.read_bytes(), np.uint8)
    for k in range(9):
        part = slice(k * PAGE + min(512 * k, PAGE), (k + 1) * PAGE)
        assert np.array_equal(memory[part], want[part])
        assert (memory[k * PAGE : part.start] == 0xA5).all()
    engine.close()
    files.close()


@pytest.mark.parametrize("kind", [UringEngine, PreadEngine])
def test_a_read_cut_short_is_read_on_until_the_system_says_why(
    tmp_path: Path, kind: Callable[[OpenFiles, int], ReadEngine]
) -> None:
    """The second page may not be written to: the first read brings one page, the next an error."""
    path = random_file(tmp_path / "a.bin", 9 * PAGE)
    pages = mmap.mmap(-1, 2 * PAGE)
    address = np.frombuffer(pages, np.uint8).ctypes.data
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mprotect(ctypes.c_void_p(address + PAGE), ctypes.c_size_t(PAGE), 0) == 0
    files = OpenFiles([path])
    engine = kind(files, 4)
    batch = Batch.of(np.array([[0, PAGE, 2 * PAGE, address, 2 * PAGE]]))
    engine.start(batch).wait()
    with pytest.raises(StorageError, match="Bad address"):
        files.check(batch)
    assert pages[:PAGE] == path.read_bytes()[PAGE : 2 * PAGE]
    engine.close()
    files.close()
