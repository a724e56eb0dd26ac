"""The file of an n-gram log: made or known again, kept from other processes, written by pages."""

import contextlib
import errno
import fcntl
import os
import stat
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import FormatError
from engramctl.storage.files.atomic import os_errors, write_all
from engramctl.storage.files.exclusive import lock_alone
from engramctl.storage.kinds.files import NGRAM_LOG
from engramctl.storage.record_log.log_format import PAGE, VERSION, LogFormat, facts_of

_OTHER = "name another file: one that is not there is made"
_REMOVE = "delete it, or name another file: it is a cache, no row is lost with it"


class LogFile:
    """One open file, locked, of its full length.

    Attributes:
        path: as it was given.
        bytes_written: given to the system to write, since it was opened.
    """

    def __init__(self, path: Path, log_format: LogFormat) -> None:
        """Open the file, or make it.

        Args:
            path: of the file.
            log_format: what it must be; a file cut short grows again, by zeros.

        Raises:
            FormatError: it is no log, or one of another table or geometry.
            StorageError: it cannot be opened or made, or another process has it open.
        """
        self.path = path
        self.bytes_written = 0
        self._direct = False
        flags = os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        with os_errors("open", path):
            self._descriptor = os.open(path, flags, 0o644)
        try:
            with os_errors("open", path):
                self._lock()
                self._begin(log_format)
        except BaseException:
            self.close()
            raise

    def _lock(self) -> None:
        if not stat.S_ISREG(os.fstat(self._descriptor).st_mode):
            raise FormatError(f"{self.path} is not a file", facts={"file": self.path})
        lock_alone(
            self._descriptor,
            f"another process has the n-gram log {self.path} open",
            "wait for it, or name another file",
        )

    def _begin(self, log_format: LogFormat) -> None:
        """Know the file by its first page; one that a kill left in it is begun anew."""
        size = os.fstat(self._descriptor).st_size
        found, wanted = self.read(0, PAGE), log_format.file_header()
        if found != wanted:
            if size > PAGE or not wanted.startswith(found.rstrip(b"\0")):
                raise _refusal(self.path, found, log_format)
            self.write(np.frombuffer(wanted, np.uint8), 0)
            self.sync()
        if size != log_format.file_bytes:
            os.ftruncate(self._descriptor, log_format.file_bytes)

    def write_directly(self) -> None:
        """From now on, write past the page cache where the file system can, and read no more.

        So a reader past the cache never waits until it is written back.
        """
        os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        self._set_direct(os.O_DIRECT)

    def _set_direct(self, flag: int) -> None:
        self._direct = False
        with contextlib.suppress(OSError):
            flags = fcntl.fcntl(self._descriptor, fcntl.F_GETFL)
            fcntl.fcntl(self._descriptor, fcntl.F_SETFL, flags & ~os.O_DIRECT | flag)
            self._direct = bool(flag)

    def read(self, offset: int, num_bytes: int) -> bytes:
        """Return bytes of the file, as far as there are any.

        Raises:
            OSError: they cannot be read.
        """
        pieces = []
        while num_bytes and (piece := os.pread(self._descriptor, num_bytes, offset)):
            pieces.append(piece)
            offset += len(piece)
            num_bytes -= len(piece)
        return b"".join(pieces)

    def write(self, data: NDArray[np.uint8], offset: int) -> None:
        """Write whole pages from memory that begins with a page, at a page of the file.

        Raises:
            OSError: they cannot be written.
        """
        self.bytes_written += len(data)
        try:
            write_all(self._descriptor, data.data, offset)
        except OSError as error:
            if error.errno != errno.EINVAL or not self._direct:
                raise
            self._set_direct(0)  # it said it could
            write_all(self._descriptor, data.data, offset)

    def sync(self) -> None:
        """Wait until what was written is on the disk.

        Raises:
            OSError: it is not.
        """
        os.fdatasync(self._descriptor)

    def remove(self) -> None:
        """Remove it, unless another file has its name by now.

        Raises:
            OSError: it cannot be removed.
        """
        if os.path.samestat(os.stat(self.path), os.fstat(self._descriptor)):
            self.path.unlink()

    def close(self) -> None:
        """Close it; the lock goes with the last process that has it. Once more does nothing."""
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)


def _refusal(path: Path, header: bytes, log_format: LogFormat) -> FormatError:
    """Return the error for a file with another first page."""
    facts = facts_of(header)
    if facts is None:
        return FormatError(
            f"{path} is no n-gram log, or its header is damaged",
            facts={"file": path},
            hint=_REMOVE if header.startswith(NGRAM_LOG) else _OTHER,
        )
    for name, expected in {"version": VERSION, **log_format.facts()}.items():
        if facts.get(name) != expected:
            other = "table" if name == "table_xxh3_128" else "geometry"
            return FormatError(
                f"{path} is the n-gram log of another {other}",
                facts={
                    "file": path,
                    "expected": f"{name} {expected}",
                    "found": f"{name} {facts.get(name)!s:.100}",
                },
                hint=_REMOVE,
            )
    return FormatError(f"{path} has a header of another kind", facts={"file": path}, hint=_REMOVE)
