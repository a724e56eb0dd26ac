"""The hand-written reader in C: compiled where there is a compiler, called by ctypes."""

import ctypes
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

SOURCE = Path(__file__).with_suffix(".c")


class UringReader:
    """Rows of a paged table of 264-byte records, one file a layer."""

    def __init__(self, paths: Sequence[Path], first: Sequence[int], folder: Path) -> None:
        """Compile into a folder and open the files.

        Args:
            paths: a file a layer.
            first: offset of the first page in each.
            folder: for the compiled library.

        Raises:
            RuntimeError: there is no compiler, or no io_uring.
        """
        compiler = shutil.which("cc")
        if compiler is None:
            raise RuntimeError("no C compiler: cc")
        library = folder / "uring_reader.so"
        words = [compiler, "-O2", "-shared", "-fPIC", "-o", str(library), str(SOURCE)]
        done = subprocess.run(words, capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(f"cc failed: {done.stderr.strip().splitlines()[-1]}")
        self._library = ctypes.CDLL(str(library))
        self._library.reader_open.restype = ctypes.c_void_p
        names = (ctypes.c_char_p * len(paths))(*(str(path).encode() for path in paths))
        offsets = (ctypes.c_int64 * len(first))(*first)
        opened = self._library.reader_open(names, offsets, len(paths))
        if not opened:
            raise RuntimeError("io_uring or O_DIRECT is not to be had here")
        self._reader = ctypes.c_void_p(opened)

    def read(
        self, ids: NDArray[np.int64], files: NDArray[np.int32], out: NDArray[np.uint8]
    ) -> None:
        """Read row ids[i] of file files[i] to out[i], uint8 (n, 264)."""
        failed = self._library.reader_rows(
            self._reader, ctypes.c_void_p(ids.ctypes.data), ctypes.c_void_p(files.ctypes.data),
            len(ids), ctypes.c_void_p(out.ctypes.data),
        )  # fmt: skip
        if failed:
            raise RuntimeError(f"the reader failed: {failed}")

    def close(self) -> None:
        """Close the ring."""
        self._library.reader_close(self._reader)
