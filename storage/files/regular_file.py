"""Opening a file that a stranger named: a regular one, or an error and never a wait."""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from engramctl.errors import FormatError
from engramctl.storage.files.atomic import os_errors


@contextmanager
def regular_file(path: Path, *, buffer_bytes: int = 0) -> Iterator[IO[bytes]]:
    """Open a file for reading; what the system says inside leaves as a StorageError.

    Raises:
        FormatError: it is no regular file: a pipe would never open, a device never end.
        StorageError: it cannot be opened or read.
    """
    with os_errors("read", path):
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with open(descriptor, "rb", buffering=buffer_bytes) as file:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise FormatError(f"{path} is not a file", facts={"file": path})
            yield file
