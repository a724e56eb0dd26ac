"""What a disk can do: the ceilings that figures of the ssd tier are held against.

Every engine reads whole pages at random places of one file, at several depths, and the file from
one end to the other; past the page cache where the file system lets us, else with its pages
dropped before. A hypervisor below may still have its own cache.
"""

import contextlib
import mmap
import os
import secrets
import statistics
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import ConfigError, StorageError
from engramctl.storage.files.atomic import os_errors, write_all
from engramctl.storage.readers.batch import Batch
from engramctl.storage.readers.choose import choose

DEPTHS = (1, 16, 64, 256)
PAGE = mmap.PAGESIZE
_LEAST_BYTES = 64 << 20  # of a file that is probed: below it every read is a neighbour's
_NEW_BYTES = 1 << 30
_CHUNK = 1 << 20  # of sequential reads, and of writing
_MOST_THREADS = 64  # of the pread engine; more threads than that are no engine of ours
_ROUNDS, _MOST_PAGES = 32, 8192  # batches long enough that their last reads do not count
STEP_ROWS = 48  # of a decode step of DeepSeek-V4.1, both layers: a page each
_ENGINES = (("io_uring", True), ("pread", True), ("willneed", False))


@dataclass(frozen=True)
class Rate:
    """Random reads of one engine at one depth.

    Attributes:
        engine: which.
        direct: past the page cache.
        depth: reads under way at once.
        reads_per_s: pages a second, with so many always under way; None: not measured.
        p50_us: at depth 1, median time of a read, in microseconds.
        reason: why it was not measured, or what differs from what was asked.
    """

    engine: str
    direct: bool
    depth: int
    reads_per_s: float | None
    p50_us: float | None
    reason: str | None = None


def probe_disk(path: Path, seconds: float = 0.3) -> dict[str, Any]:
    """Measure the disk below a path.

    Args:
        path: a file that is read; or a folder, whose largest file is read, or one of 1 GiB that is
            written and removed again where there is none of 64 MiB.
        seconds: of each measurement, about.

    Returns:
        path: the file that was read; written: whether we wrote it; file_bytes;
        sequential_bytes_per_s; random: a list of `Rate` as objects; step_us: for each engine, the
        median time of STEP_ROWS random pages that are asked for together.

    Raises:
        ConfigError: there is no such path, or the file is too small to say anything.
        StorageError: it cannot be read, or the folder cannot be written to.
    """
    with _file_to_read(path) as (file, written):
        rates: list[Rate] = []
        steps = {}
        for name, direct in _ENGINES:
            rates += [_rate(file, name, direct, depth, seconds) for depth in DEPTHS]
            step = _measured(file, name, direct, None, STEP_ROWS, seconds)
            steps[name] = None if isinstance(step, str) else statistics.median(step[0]) / 1e3
        return {
            "path": str(path if written else file),
            "written": written,
            "file_bytes": file.stat().st_size,
            "sequential_bytes_per_s": _sequential(file, seconds),
            "random": [asdict(rate) for rate in rates],
            "step_us": steps,
        }


def best_rate(document: dict[str, Any]) -> float | None:
    """Return the most random pages a second of a probe's document, at any depth of any engine."""
    rates = [one["reads_per_s"] for one in document["random"] if one["reads_per_s"]]
    return max(rates, default=None)


def _rate(file: Path, name: str, direct: bool, depth: int, seconds: float) -> Rate:
    """Keep `depth` reads under way until time is over."""
    if name == "pread" and depth > _MOST_THREADS:
        return Rate(name, direct, depth, None, None, f"{_MOST_THREADS} threads at most")
    pages = 1 if depth == 1 else min(_ROUNDS * depth, _MOST_PAGES)
    found = _measured(file, name, direct, depth, pages, seconds)
    if isinstance(found, str):
        return Rate(name, direct, depth, None, None, found)
    times, fallback = found
    alone = statistics.median(times) / 1e3 if depth == 1 else None
    return Rate(
        name, direct and fallback is None, depth, pages * len(times) / sum(times) * 1e9, alone,
        fallback,
    )  # fmt: skip


def _measured(
    file: Path, name: str, direct: bool, depth: int | None, pages: int, seconds: float
) -> tuple[list[int], str | None] | str:
    """Read batches of pages that were not read before, until time is over.

    Returns:
        (time of each batch in ns, what could not be had); or why nothing could.
    """
    try:
        chosen = choose([file], name, direct=direct, depths={} if depth is None else {name: depth})
    except StorageError as error:
        return str(error.facts.get("reason", error.message))
    with contextlib.closing(chosen):
        files = chosen.files
        if not files.direct:
            os.fsync(int(files.descriptors[0]))
            os.posix_fadvise(int(files.descriptors[0]), 0, 0, os.POSIX_FADV_DONTNEED)
        memory = np.frombuffer(mmap.mmap(-1, pages * PAGE), np.uint8)
        order = np.random.default_rng(pages).permutation(int(files.sizes[0]) // PAGE)
        times: list[int] = []
        end = time.perf_counter() + seconds
        for first in range(0, len(order) - pages + 1, pages):
            batch = _batch(order[first : first + pages], memory)
            started = time.perf_counter_ns()
            chosen.engine.start(batch).wait()
            times.append(time.perf_counter_ns() - started)
            files.check(batch)
            if time.perf_counter() > end:
                break
        return times, chosen.fallback


def _batch(pages: NDArray[np.int64], memory: NDArray[np.uint8]) -> Batch:
    return Batch.of_pages(np.zeros_like(pages), np.sort(pages), memory)


def _sequential(file: Path, seconds: float) -> float:
    """Read a file in large pieces, eight under way, and return bytes a second."""
    with contextlib.closing(choose([file], direct=True)) as chosen:
        memory = np.frombuffer(mmap.mmap(-1, 8 * _CHUNK), np.uint8)
        done, started = 0, time.perf_counter()
        for first in range(0, int(chosen.files.sizes[0]) - 8 * _CHUNK + 1, 8 * _CHUNK):
            at = np.arange(8, dtype=np.int64) * _CHUNK
            wide = np.full(8, _CHUNK, np.int64)
            places = memory.ctypes.data + at
            lines = np.stack([np.zeros_like(at), first + at, wide, places, wide], axis=1)
            batch = Batch.of(lines, memory)
            chosen.engine.start(batch).wait()
            chosen.files.check(batch)
            done += 8 * _CHUNK
            if time.perf_counter() > started + 2 * seconds:
                break
        return done / (time.perf_counter() - started)


@contextlib.contextmanager
def _file_to_read(path: Path) -> Iterator[tuple[Path, bool]]:
    """Give a file with bytes on the disk, and whether it was written for this."""
    if path.is_file():
        if not _is_full(path):
            raise ConfigError(
                f"{path} is too small, or has holes, so reading it says nothing of the disk",
                facts={"needed": f"{_LEAST_BYTES:,} bytes without holes"},
                hint="name a folder: a file is written there and removed again",
            )
        yield path, False
        return
    if not path.is_dir():
        raise ConfigError(f"there is no {path}", hint="name a file or a folder on the disk")
    with os_errors("read", path):
        there = [one for one in path.iterdir() if one.is_file() and _is_full(one)]
    if there:
        yield max(there, key=lambda one: one.stat().st_size), False
        return
    new = path / f".engramctl-probe.{secrets.token_hex(4)}.new"
    try:
        _write(new)
        yield new, True
    finally:
        new.unlink(missing_ok=True)


def _is_full(path: Path) -> bool:
    """Whether a file is large enough and has all its bytes on the disk: holes cost nothing."""
    facts = path.stat()
    return facts.st_size >= _LEAST_BYTES and facts.st_blocks * 512 >= facts.st_size * 0.95


def _write(path: Path) -> None:
    """Write unlike bytes: a disk that compresses, or joins what is alike, would flatter itself."""
    with os_errors("write", path):
        free = os.statvfs(path.parent)
        size = min(_NEW_BYTES, free.f_bavail * free.f_frsize // 4) // _CHUNK * _CHUNK
        if size < _LEAST_BYTES:
            raise StorageError(
                f"there is not enough room in {path.parent} for a file to probe",
                facts={"needed": f"{4 * _LEAST_BYTES:,} bytes free"},
            )
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            rng = np.random.default_rng()
            for offset in range(0, size, _CHUNK):
                write_all(descriptor, memoryview(rng.bytes(_CHUNK)), offset)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
