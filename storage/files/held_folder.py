"""A folder held open: locked against other runs; its files listed, read and removed by descriptor.

What is done to it so cannot hit another folder that got its name meanwhile, nor what a link leads
to.
"""

import errno
import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from engramctl.storage.files.exclusive import lock_alone
from engramctl.storage.files.strict_json import MAX_DOCUMENT_BYTES

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC
MOST_SHOWN = 3


class HeldFolder:
    """An open folder; a context manager. A lock lasts until it is closed."""

    def __init__(self, path: Path) -> None:
        """Open it.

        Raises:
            OSError: it is not there (ENOENT), is a link or no folder (ENOTDIR, ELOOP), or is shut.
        """
        self.path = path
        self._descriptor = os.open(path, _FLAGS | os.O_DIRECTORY)

    def __enter__(self) -> Self:
        """Return itself; leaving closes it."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Give the lock and the descriptor back; does nothing the second time."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._descriptor = -1

    def lock(self) -> None:
        """Keep other runs out, where the file system has locks.

        Raises:
            StorageError: another process holds the lock.
        """
        lock_alone(
            self._descriptor,
            f"another process is writing {self.path}",
            "wait for it, or name another folder",
        )

    def is_at(self, path: Path) -> bool:
        """Say whether `path` is this folder's name, now."""
        try:
            return os.path.samestat(os.fstat(self._descriptor), os.lstat(path))
        except FileNotFoundError:
            return False

    def sync(self) -> None:
        """Wait until its list of names is on the disk."""
        os.fsync(self._descriptor)

    def read(self, name: str) -> bytes | None:
        """Return the content of a file in it, cut where no document of ours goes on.

        None when there is no such regular file.
        """
        try:
            descriptor = os.open(name, _FLAGS | os.O_NONBLOCK, dir_fd=self._descriptor)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ELOOP, errno.ENXIO):
                return None
            raise
        with open(descriptor, "rb") as file:
            facts = os.fstat(descriptor)  # a read takes memory for what it is asked for
            is_file = stat.S_ISREG(facts.st_mode)
            return file.read(min(facts.st_size, MAX_DOCUMENT_BYTES)) if is_file else None

    def names(self) -> list[str]:
        """Return what lies in it, ascending: `file`, `folder/file`, and after those `folder/`.

        Ours are two levels deep at most: what lies deeper is not looked for. What is neither file
        nor folder has an `@` behind its name, so that no rule matches it.
        """
        return list(_names(self._descriptor, ""))

    def foreign(self, ours: re.Pattern[str]) -> list[str]:
        """Return the names in it that `ours` does not match."""
        return [name for name in self.names() if not ours.fullmatch(name)]

    def remove(self, ours: re.Pattern[str], mark: str, *, keep_mark: bool = False) -> None:
        """Remove the files that are ours, `mark` as the last; nothing else is touched.

        So a kill leaves a folder that its mark still explains, or an empty one. The mark stays when
        it is to be kept, or when something is left that it must explain.
        """
        for name in self.names():
            if name != mark and ours.fullmatch(name):
                self._unlink(name)
        self.sync()
        if not keep_mark and self.names() == [mark]:
            self._unlink(mark)

    def discard(self, name: str) -> None:
        """Remove one file, if it is there, and for good."""
        self._unlink(name)
        self.sync()

    def _unlink(self, name: str) -> None:
        try:
            if name.endswith("/"):
                os.rmdir(name[:-1], dir_fd=self._descriptor)
            else:
                os.unlink(name, dir_fd=self._descriptor)
        except OSError as error:  # it is gone already, or something of somebody else is in it
            if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST):
                raise


def shown(names: list[str]) -> str:
    """Return some of the names, in a form that no terminal obeys."""
    some = ", ".join(ascii(name)[1:-1] for name in names[:MOST_SHOWN])
    return some + (f" and {len(names) - MOST_SHOWN:,} more" if len(names) > MOST_SHOWN else "")


def _names(descriptor: int, before: str) -> Iterator[str]:
    with os.scandir(descriptor) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        name = before + entry.name
        if entry.is_dir(follow_symlinks=False):
            if not before:
                inner = os.open(entry.name, _FLAGS | os.O_DIRECTORY, dir_fd=descriptor)
                try:
                    yield from _names(inner, name + "/")
                finally:
                    os.close(inner)
            yield name + "/"
        else:
            yield name if entry.is_file(follow_symlinks=False) else name + "@"
