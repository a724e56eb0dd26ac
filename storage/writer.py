"""Row files, streamed: flat memory, the same bytes for any chunk size, worker count or resume.

Threads fill chunks of rows in buffers that are used again; one thread writes them in file order
and hashes each extent on the way. Every few extents the data is synced and `state.json` says how
far it is, so an interrupted run goes on from the last finished extent.
"""

import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from engramctl.errors import ConfigError
from engramctl.storage.atomic import os_errors
from engramctl.storage.checksum import hash_range
from engramctl.storage.manifest import Manifest
from engramctl.storage.plan import FilePlan, TablePlan
from engramctl.storage.publish import PartialDirectory, check_target, partial_path
from engramctl.storage.space import check_space

Fill = Callable[[FilePlan, int, int, NDArray[np.uint8]], None]
Progress = Callable[[int], None]
Finish = Callable[[Path, Manifest], Manifest]
CHUNK_BYTES = 8 << 20
CHECKPOINT_BYTES = 256 << 20


@dataclass(frozen=True)
class _Chunk:
    """Rows [row_start, row_stop) of a file, whose bytes begin at `offset` of its data."""

    plan: FilePlan
    row_start: int
    row_stop: int
    offset: int
    num_bytes: int


def default_workers() -> int:
    """Return the number of filling threads: one a usable core, at most 16."""
    return min(len(os.sched_getaffinity(0)), 16)


def write_table(
    plan: TablePlan,
    target: Path,
    fill: Fill,
    *,
    force: bool = False,
    resume: bool = False,
    command: str = "build",
    workers: int | None = None,
    chunk_bytes: int = CHUNK_BYTES,
    checkpoint_bytes: int = CHECKPOINT_BYTES,
    progress: Progress = lambda amount: None,
    finish: Finish = lambda folder, manifest: manifest,
) -> Manifest:
    """Write all row files of a plan and publish them with their manifest.

    Memory: at most `workers + 2` buffers of `chunk_bytes`.

    Args:
        plan: files, geometry and manifest.
        target: the final folder.
        fill: called from several threads as fill(file, row_start, num_rows, out); writes every
            byte of `out` from what it is given alone.
        force: replace a finished folder, or begin an unfinished one anew.
        resume: continue an unfinished folder.
        command: named in hints.
        workers: filling threads (default: one a core).
        chunk_bytes: bytes filled at once, rounded to whole rows or pages.
        checkpoint_bytes: data written between two syncs with `state.json`.
        progress: told of bytes as they are written, and once of those found on resume.
        finish: called as finish(folder, manifest) when the row files are whole; adds what is made
            from them to the folder and returns the manifest to publish.

    Raises:
        ConfigError: the folder exists, or was begun with other options.
        StorageError: no space, or a write failed; finished extents stay for `resume`.
    """
    check_target(target, force=force, resume=resume)
    check_space(plan.data_file_bytes, target, reuse=partial_path(target) if resume else None)
    with PartialDirectory(target, force=force, resume=resume, command=command) as work:
        writer = _Writer(plan, work, checkpoint_bytes)
        writer.take_up()
        with os_errors("write", work.path):
            try:
                found = sum(writer.done_bytes(file) for file in plan.files)
                progress(found)
                _stream(writer, fill, workers or default_workers(), chunk_bytes, progress)
            finally:
                writer.stop()
        manifest = finish(work.path, plan.manifest(writer.digests))
        work.publish(manifest.to_dict())
    return manifest


class _Writer:
    """The open file, its hash, and how far everything is."""

    def __init__(self, plan: TablePlan, work: PartialDirectory, checkpoint_bytes: int) -> None:
        self.plan = plan
        self.work = work
        self.digests: dict[str, tuple[str, ...]] = {}
        self._checkpoint_bytes = checkpoint_bytes
        self._unsaved = 0
        self._file: FilePlan | None = None
        self._descriptor = -1
        self._position = 0
        self._hash = xxhash.xxh3_128()

    def take_up(self) -> None:
        """Compare `state.json` with the plan and believe the extents that are really there."""
        state = self.work.state or {}
        before = state.get("plan")
        if before is not None and before != self.plan.identity:
            raise ConfigError(
                f"{self.work.path.name} was begun with other options",
                facts=_differences(before, self.plan.identity),
                hint="give the same options with --resume, or add --force to start over",
            )
        files = state.get("files")
        for file in self.plan.files:
            done = files.get(file.name) if isinstance(files, dict) else None
            digests = tuple(done) if isinstance(done, list) else ()
            if digests and _is_there(self.work.path / file.name, file, digests):
                self.digests[file.name] = digests
        self._save()

    def done_bytes(self, file: FilePlan) -> int:
        """Return how many data bytes of a file are in finished extents."""
        finished = len(self.digests.get(file.name, ())) * file.extent_bytes
        return min(finished, file.data_bytes)

    def write(self, chunk: _Chunk, data: NDArray[np.uint8]) -> int:
        """Append one chunk, leaving out what is there already; returns the bytes written."""
        if self._file is not chunk.plan:
            self._open(chunk.plan)
        view = data.data[self._position - chunk.offset :]
        written = len(view)
        while view:
            file = chunk.plan
            end = min(
                (self._position // file.extent_bytes + 1) * file.extent_bytes, file.data_bytes
            )
            piece = view[: end - self._position]
            self._hash.update(piece)
            _write_all(self._descriptor, piece, file.data_offset + self._position)
            self._position += len(piece)
            view = view[len(piece) :]
            if self._position == end:
                self._finish_extent(file)
        return written

    def stop(self) -> None:
        """Sync and save what is finished, and close."""
        if self._descriptor >= 0:
            try:
                self._checkpoint()
            finally:
                os.close(self._descriptor)
                self._descriptor, self._file = -1, None

    def _open(self, file: FilePlan) -> None:
        self.stop()
        flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
        self._descriptor = os.open(self.work.path / file.name, flags, 0o644)
        self._file = file
        self._position = self.done_bytes(file)
        self._hash = xxhash.xxh3_128()
        os.ftruncate(self._descriptor, self._position and file.data_offset + self._position)
        if not self._position:
            _write_all(self._descriptor, memoryview(file.header), 0)

    def _finish_extent(self, file: FilePlan) -> None:
        done = self.digests.get(file.name, ())
        self.digests[file.name] = (*done, self._hash.hexdigest())
        self._hash = xxhash.xxh3_128()
        self._unsaved += file.extent_bytes
        if self._unsaved >= self._checkpoint_bytes:
            self._checkpoint()

    def _checkpoint(self) -> None:
        os.fdatasync(self._descriptor)
        self._save()

    def _save(self) -> None:
        self._unsaved = 0
        files = {name: list(digests) for name, digests in self.digests.items()}
        self.work.save_state({"plan": self.plan.identity, "files": files})


def _stream(
    writer: _Writer, fill: Fill, workers: int, chunk_bytes: int, progress: Progress
) -> None:
    """Fill in threads, write in order; at most `workers + 2` chunks exist at a time."""
    waiting: deque[tuple[_Chunk, NDArray[np.uint8], Future[None]]] = deque()
    free: list[NDArray[np.uint8]] = []

    def write_oldest() -> None:
        chunk, buffer, filled = waiting.popleft()
        filled.result()
        progress(writer.write(chunk, buffer[: chunk.num_bytes]))
        free.append(buffer)

    pool = ThreadPoolExecutor(workers, thread_name_prefix="fill")
    try:
        for chunk in _chunks(writer, chunk_bytes):
            while len(waiting) > workers:
                write_oldest()
            buffer = free.pop() if free else np.empty(0, np.uint8)
            if buffer.size < chunk.num_bytes:
                buffer = np.empty(chunk.num_bytes, np.uint8)
            rows = chunk.row_stop - chunk.row_start
            out = buffer[: chunk.num_bytes]
            waiting.append(
                (chunk, buffer, pool.submit(fill, chunk.plan, chunk.row_start, rows, out))
            )
        while waiting:
            write_oldest()
    finally:
        pool.shutdown(cancel_futures=True)


def _chunks(writer: _Writer, chunk_bytes: int) -> Iterator[_Chunk]:
    """Cut what is missing of every file into chunks of whole rows or pages."""
    for file in writer.plan.files:
        done = writer.done_bytes(file)
        if done == file.data_bytes:
            continue
        unit = file.unit
        step = max(1, chunk_bytes // unit.num_bytes)
        begin = 0  # of the segment, in units of the file
        for row_start, row_stop in file.segments:
            units = -(-(row_stop - row_start) // unit.num_rows)
            for start in range(max(0, done // unit.num_bytes - begin), units, step):
                stop = min(start + step, units)
                yield _Chunk(
                    file,
                    row_start + start * unit.num_rows,
                    min(row_start + stop * unit.num_rows, row_stop),
                    (begin + start) * unit.num_bytes,
                    (stop - start) * unit.num_bytes,
                )
            begin += units


def _write_all(descriptor: int, data: memoryview, offset: int) -> None:
    while data:
        count = os.pwrite(descriptor, data, offset)
        data = data[count:]
        offset += count


def _is_there(path: Path, file: FilePlan, digests: tuple[Any, ...]) -> bool:
    """Check cheaply that a file holds its finished extents: header, size, and the last of them."""
    end = min(len(digests) * file.extent_bytes, file.data_bytes)
    start = (len(digests) - 1) * file.extent_bytes
    if start >= end or path.is_symlink() or not path.is_file():
        return False
    with path.open("rb", buffering=0) as handle:
        if os.fstat(handle.fileno()).st_size < file.data_offset + end:
            return False
        if handle.read(file.data_offset) != file.header:
            return False
        found = hash_range(handle.fileno(), file.data_offset + start, end - start)
        return found is not None and found == digests[-1]


def _differences(before: Any, now: Any, place: str = "") -> Mapping[str, object]:
    """Return up to three places where two JSON values differ, as facts."""
    if isinstance(before, dict) and isinstance(now, dict):
        facts: dict[str, object] = {}
        for name in [*before, *(name for name in now if name not in before)]:
            inner = f"{place}.{name}" if place else name
            facts |= _differences(before.get(name), now.get(name), inner)
        return dict(list(facts.items())[:3])
    return {} if before == now else {place: f"{before!s:.60} there, {now!s:.60} now"}
