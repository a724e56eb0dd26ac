"""Files that rows are read from: opened once, and known again."""

import os
import stat
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import FormatError, StorageError
from engramctl.storage.files.atomic import os_errors, storage_error
from engramctl.storage.readers.batch import OFFSET, Batch
from engramctl.storage.reading.region import cut_short

OPEN_AGAIN = "close the store, run engramctl verify on its folder and open it again"
LOOK_AGAIN_NS = 1_000_000_000  # a file is compared with what it was at most once in this time
Identity = tuple[int, int, int, int]


class OpenFiles:
    """Files by number, opened for reading, with the identity that each had.

    Attributes:
        paths: by number.
        direct: whether they were opened with O_DIRECT.
        descriptors: int32, by number.
        sizes: bytes when opened, int64, by number.
        num_copies: the first so many hold nothing but copies of what others hold.
        lost: of these, those that were changed, and how.
    """

    def __init__(self, paths: Sequence[Path], *, direct: bool = False, num_copies: int = 0) -> None:
        """Open every file.

        Args:
            paths: each once.
            direct: past the page cache; reads must be aligned to pages then.
            num_copies: the first so many may change, or go: that is no error.

        Raises:
            FormatError: one is no regular file.
            StorageError: one cannot be opened, or so; a file system may refuse `direct`.
        """
        self.paths = tuple(paths)
        self.direct = direct
        self.num_copies = num_copies
        self.lost: dict[int, str] = {}
        self._looked_ns = time.monotonic_ns()
        self._found_changed: tuple[Path, str, int, int] | None = None
        opened: list[int] = []
        try:
            for path in self.paths:
                with os_errors("open", path):
                    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
                    opened.append(os.open(path, flags | (os.O_DIRECT if direct else 0)))
                if not stat.S_ISREG(os.fstat(opened[-1]).st_mode):
                    raise FormatError(f"{path} is not a file", facts={"file": path})
                if not direct:  # a read brings what was asked for and no more
                    os.posix_fadvise(opened[-1], 0, 0, os.POSIX_FADV_RANDOM)
            self._identities = [_identity(os.fstat(one)) for one in opened]
        except BaseException:
            for one in opened:
                os.close(one)
            raise
        self.descriptors: NDArray[np.int32] = np.array(opened, np.int32)
        self.sizes: NDArray[np.int64] = np.array([one[1] for one in self._identities], np.int64)

    def check_unchanged(self, *, now: bool = False) -> None:
        """Compare every file with what it was when opened: at most once a second, unless `now`.

        One that was changed once is an error from then on, or `lost` where it holds copies.

        Raises:
            StorageError: one was cut, overwritten, replaced or removed.
        """
        if self._found_changed is not None:
            raise _changed(*self._found_changed)
        clock = time.monotonic_ns()
        if not now and clock - self._looked_ns < LOOK_AGAIN_NS:
            return
        self._looked_ns = clock
        for number, (path, descriptor, then) in enumerate(
            zip(self.paths, self.descriptors.tolist(), self._identities, strict=True)
        ):
            what = _change(path, descriptor, then)
            if what is not None and number < self.num_copies:
                self.lost.setdefault(number, what)
            elif what is not None:
                self._found_changed = path, what, then[1], descriptor
                raise _changed(*self._found_changed)

    def check(self, batch: Batch) -> None:
        """Raise for the first range of a finished batch that did not come whole.

        Raises:
            StorageError: with file and offset: a read failed or ended early.
        """
        bad = batch.first_bad()
        if bad < 0:
            return
        number, offset, _, _, needed = batch.ranges_R5[bad].tolist()
        path, got = self.paths[number], int(batch.got_R[bad])
        if got >= 0:
            raise cut_short(path, offset + got, needed - got, 0)
        error = storage_error(OSError(-got, os.strerror(-got)), "read", path)
        error.facts["offset"] = f"{int(batch.ranges_R5[bad, OFFSET]):,}"
        raise error

    def close(self) -> None:
        """Close every file; once more does nothing."""
        descriptors, self.descriptors = self.descriptors, np.empty(0, np.int32)
        for one in descriptors.tolist():
            os.close(one)


def _identity(facts: os.stat_result) -> Identity:
    return facts.st_mtime_ns, facts.st_size, facts.st_dev, facts.st_ino


def _change(path: Path, descriptor: int, then: Identity) -> str | None:
    """Return what happened to a file since it was opened, in words, or None."""
    if _identity(os.fstat(descriptor)) != then:
        return "was changed while it was open"
    try:
        there = os.stat(path)
    except FileNotFoundError:
        return "was removed while it was open"
    except OSError as error:
        raise storage_error(error, "look at", path) from error
    if (there.st_dev, there.st_ino) != then[2:]:
        return "was replaced while it was open"
    return None


def _changed(path: Path, what: str, size: int, descriptor: int) -> StorageError:
    return StorageError(
        f"{path} {what}",
        facts={"size then": f"{size:,}", "size now": f"{os.fstat(descriptor).st_size:,}"},
        hint=OPEN_AGAIN,
    )
