"""One file of a corpus, and how its name is written down."""

import os
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, cast


def printable(name: str | Path) -> str:
    r"""Return a name as it is shown and recorded: bytes that are no UTF-8 as `\xff`.

    Example:
        >>> print(printable(os.fsdecode(b"caf\xe9.parquet")))
        caf\xe9.parquet
    """
    return os.fsencode(name).decode("utf-8", "backslashreplace")


@dataclass(frozen=True)
class SourceFile:
    """A file that can be opened again and again.

    Attributes:
        url: the name as it is shown and recorded, always valid text; a path for local files.
        path: the name as `filesystem` takes it.
        filesystem: a pyarrow file system; None for local files.
    """

    url: str
    path: str
    filesystem: Any = field(default=None, compare=False, repr=False)

    @classmethod
    def local(cls, path: str | Path) -> "SourceFile":
        """Name a file of this machine."""
        return cls(printable(path), str(path))

    def __str__(self) -> str:
        """Return the url."""
        return self.url

    @property
    def name(self) -> str:
        """The last part of the url."""
        return self.url.rpartition("/")[2]

    @property
    def is_remote(self) -> bool:
        """Whether reading it may fail and succeed later."""
        return self.filesystem is not None

    @property
    def num_bytes(self) -> int:
        """Its size; asks the file system."""
        if self.filesystem is None:
            return os.stat(self.path).st_size
        return int(self.filesystem.get_file_info(self.path).size)

    def open(self) -> AbstractContextManager[IO[bytes]]:
        """Open it for reading from its start."""
        if self.filesystem is None:
            return open(self.path, "rb")
        return cast(AbstractContextManager[IO[bytes]], self.filesystem.open_input_stream(self.path))
