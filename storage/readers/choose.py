"""Which engine reads these files: found by trying, not by asking what should work.

A sysctl does not say what seccomp forbids, and file systems refuse O_DIRECT in different ways: when
a file is opened, or only when it is read. So each is tried with a real read, whose bytes are
compared.
"""

import contextlib
import mmap
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engramctl.errors import ConfigError, StorageError, unknown
from engramctl.storage.files.atomic import os_errors
from engramctl.storage.readers.batch import NEEDED, PAGE, Batch, ReadEngine
from engramctl.storage.readers.open_files import OpenFiles
from engramctl.storage.readers.pread_engine import PreadEngine
from engramctl.storage.readers.uring_engine import UringEngine
from engramctl.storage.readers.willneed_engine import WillneedEngine

ENGINES = ("auto", "io_uring", "pread", "willneed")
_MAKERS: dict[str, Callable[..., ReadEngine]] = {
    "io_uring": UringEngine,
    "pread": PreadEngine,
    "willneed": WillneedEngine,
}


@dataclass(frozen=True)
class Chosen:
    """Open files and what reads them.

    Attributes:
        files: opened as the engine needs them.
        engine: what reads them.
        why: one sentence, for people.
        fallback: what was to be had first and why it is not, for results; None: nothing was.
    """

    files: OpenFiles
    engine: ReadEngine
    why: str
    fallback: str | None

    def close(self) -> None:
        """Wait for reads under way and close the files, also when the wait is interrupted."""
        try:
            self.engine.close()
        finally:
            self.files.close()


def choose(
    paths: Sequence[Path],
    wanted: str = "auto",
    *,
    direct: bool,
    depths: Mapping[str, int] | None = None,
    num_copies: int = 0,
) -> Chosen:
    """Open files with the best engine that works here.

    Args:
        paths: each file once.
        wanted: of ENGINES; one that is named is used or refused, never replaced.
        direct: read past the page cache, into memory of the caller's. Where the file system does
            not let us, reads go through the page cache, and `fallback` says so.
        depths: by engine, most reads under way at once (default: each engine's own).
        num_copies: see `OpenFiles`.

    Raises:
        ConfigError: an engine that is unknown, or cannot read past the page cache.
        StorageError: a named engine does not work here, or a file cannot be read.
    """
    if wanted not in ENGINES:
        raise unknown("read engine", wanted, ENGINES)
    if direct and wanted == "willneed":
        raise ConfigError(
            "willneed reads through the page cache; with a budget or row cache reads go past it",
            hint="name io_uring or pread; or ssd alone, without a budget",
        )
    files, refused = opened_files(paths, num_copies, direct=direct)
    missing = [] if refused is None else [f"O_DIRECT: {refused}"]
    names = (wanted,) if wanted != "auto" else _order(direct=direct)
    try:
        for name in names:
            try:
                engine = _tried(name, files, (depths or {}).get(name))
            except StorageError as error:
                if wanted != "auto":
                    raise
                missing.append(f"{name}: {error.facts.get('reason', error.message)}")
            else:
                fallback = "; ".join(missing) or None
                return Chosen(files, engine, _sentence(name, files, wanted, fallback), fallback)
        raise StorageError("no engine can read here", facts={"tried": "; ".join(missing)})
    except BaseException:
        files.close()
        raise


def _order(*, direct: bool) -> tuple[str, ...]:
    """Return the engines from best to worst, as measured (`benchmarks gather_cold`)."""
    return ("io_uring", "pread") if direct else ("willneed", "io_uring", "pread")


def opened_files(
    paths: Sequence[Path], num_copies: int = 0, *, direct: bool
) -> tuple[OpenFiles, str | None]:
    """Open files, as direct ones where a page of each can be read so; and why that cannot be.

    Args:
        paths: see `OpenFiles`, as the others.
        num_copies: see `OpenFiles`.
        direct: wanted.
    """
    if not direct:
        return OpenFiles(paths, num_copies=num_copies), None
    try:
        files = OpenFiles(paths, direct=True, num_copies=num_copies)
    except StorageError as error:
        plain = OpenFiles(paths, num_copies=num_copies)  # or it is not O_DIRECT that is refused
        return plain, str(error.facts.get("reason", error.message))
    buffer = mmap.mmap(-1, PAGE)
    with contextlib.closing(buffer):
        for descriptor in files.descriptors.tolist():
            try:
                os.preadv(descriptor, [buffer], 0)
            except OSError as error:
                files.close()
                plain = OpenFiles(paths, num_copies=num_copies)
                return plain, f"a read failed with it: {error.strerror}"
    return files, None


def _tried(name: str, files: OpenFiles, depth: int | None) -> ReadEngine:
    """Return an engine that has read a page of every file rightly.

    Raises:
        StorageError: it cannot be set up, or read something else than `pread` does.
    """
    engine = _MAKERS[name](files) if depth is None else _MAKERS[name](files, depth)
    try:
        buffer = mmap.mmap(-1, PAGE * (len(files.paths) + 1))
        memory = np.frombuffer(buffer, np.uint8)
        memory[:] = 0xA5  # what no read leaves: an engine that reads nothing is found out
        numbers = np.arange(len(files.paths))
        batch = Batch.of_pages(numbers, np.zeros_like(numbers), memory)
        batch.ranges_R5[:, NEEDED] = np.minimum(files.sizes, PAGE)
        engine.start(batch).wait()
        files.check(batch)
        plain = memory[-PAGE:]
        for number, path in enumerate(files.paths):
            needed = int(batch.ranges_R5[number, NEEDED])
            with os_errors("read", path):
                os.preadv(int(files.descriptors[number]), [plain.data], 0)
            came = memory[number * PAGE : number * PAGE + needed]
            if not np.array_equal(came, plain[:needed]):
                raise StorageError(
                    f"{name} read other bytes than pread", facts={"reason": "other bytes"}
                )
    except BaseException:
        engine.close()
        raise
    return engine


def _sentence(name: str, files: OpenFiles, wanted: str, fallback: str | None) -> str:
    how = "past the page cache" if files.direct else "through the page cache"
    chosen = "was named" if wanted != "auto" else "is the best that works here"
    missing = f"; not to be had: {fallback}" if fallback else ""
    return f"{name} {how}: it {chosen}{missing}"
