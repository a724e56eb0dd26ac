"""Row files, streamed: flat memory, the same bytes for any chunk size, worker count or resume.

Each worker makes whole extents: it fills its one buffer with a chunk, hashes it, writes it where it
belongs, and goes on to the next. Every few extents what is finished is synced by a thread of its
own, while the work goes on, and `state.json` says how far it is; so an interrupted run goes on with
the extents that are missing.
"""

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import FIRST_EXCEPTION, Future, ThreadPoolExecutor, wait
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from engramctl.runtime.threads import default_workers
from engramctl.storage.files.atomic import os_errors, write_all
from engramctl.storage.files.free_space import check_space
from engramctl.storage.files.published import MANIFEST, partial_path
from engramctl.storage.format.manifest import Manifest
from engramctl.storage.writing.file_plan import FilePlan
from engramctl.storage.writing.ownership import check_target
from engramctl.storage.writing.partial_folder import PartialDirectory
from engramctl.storage.writing.plan import TablePlan
from engramctl.storage.writing.table_folder import table_maker
from engramctl.storage.writing.written_extents import Written

Fill = Callable[[FilePlan, int, int, NDArray[np.uint8]], Any]
Progress = Callable[[int], None]
Finish = Callable[[Path, Manifest], Manifest]
CHUNK_BYTES = 2 << 20  # what is filled, hashed and written should still be in the core's cache
CHECKPOINT_BYTES = 256 << 20


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
    remark: Callable[[Any], None] = lambda remark: None,
    finish: Finish = lambda folder, manifest: manifest,
) -> Manifest:
    """Write all row files of a plan and publish them with their manifest.

    Memory: a buffer of `chunk_bytes` a worker.

    Args:
        plan: files, geometry and manifest.
        target: the final folder.
        fill: called from several threads as fill(file, row_start, num_rows, out); writes every
            byte of `out` from what it is given alone. What it returns, None or JSON, is a remark.
        force: replace a finished folder, or begin an unfinished one anew.
        resume: continue an unfinished folder.
        command: named in hints.
        workers: filling threads (default: one a core).
        chunk_bytes: bytes filled at once, rounded to whole rows or pages.
        checkpoint_bytes: data written between two syncs with `state.json`.
        progress: told of bytes as they are written, and first of those found on resume; one call
            at a time, from any thread.
        remark: told in the order of the files what `fill` said of every chunk, in earlier runs too,
            when all is written.
        finish: called as finish(folder, manifest) when the row files are whole; adds what is made
            from them to the folder and returns the manifest to publish.

    Raises:
        ConfigError: the folder exists, or was begun with other options.
        StorageError: no space, or a write failed; finished extents stay for `resume`.
    """
    maker = table_maker(command)
    check_target(target, maker, force=force, resume=resume)
    check_space(plan.data_file_bytes, target, reuse=partial_path(target) if resume else None)
    with PartialDirectory(target, maker, force=force, resume=resume) as work:
        written = Written(plan, work)
        with os_errors("write", work.path):
            progress(written.take_up())
            _Writer(written, fill, chunk_bytes, checkpoint_bytes, progress).run(
                workers or default_workers()
            )
        for said in written.remarks():
            remark(said)
        manifest = finish(work.path, plan.manifest(written.digests()))
        work.publish(manifest.to_dict(), plan.sizes.keys() - {MANIFEST})
    return manifest


class _Writer:
    """The workers, what they share, and the thread that syncs."""

    def __init__(
        self,
        written: Written,
        fill: Fill,
        chunk_bytes: int,
        checkpoint_bytes: int,
        progress: Progress,
    ) -> None:
        self._written = written
        self._fill = fill
        self._chunk_bytes = chunk_bytes
        self._checkpoint_bytes = checkpoint_bytes
        self._progress = progress
        self._missing: Iterator[tuple[FilePlan, int]] = iter(written.missing())
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._unsaved_bytes = 0
        self._sync_pool = ThreadPoolExecutor(1, thread_name_prefix="sync")
        self._syncing: Future[None] = Future()
        self._syncing.set_result(None)

    def run(self, workers: int) -> None:
        """Write what is missing; whatever ends it, what is finished is synced and saved."""
        pool = ThreadPoolExecutor(workers, thread_name_prefix="write")
        try:
            working = [pool.submit(self._work) for _ in range(workers)]
            done, _ = wait(working, return_when=FIRST_EXCEPTION)
            self._stop.set()  # does nothing unless one of them failed
            for one in done:
                one.result()
        finally:
            self._stop.set()
            pool.shutdown()
            self._sync_pool.shutdown()
            self._written.sync()
            self._written.close()
        self._syncing.result()  # what it met is told once: the sync above may not see it again

    def _work(self) -> None:
        buffer = np.empty(0, np.uint8)
        while not self._stop.is_set():
            with self._lock:
                file, index = next(self._missing, (None, 0))
                if file is None:
                    return
                descriptor = self._written.open(file)
            digest, remarks = xxhash.xxh3_128(), []
            for chunk in file.chunks(index, self._chunk_bytes):
                if self._stop.is_set():
                    return
                if buffer.size < chunk.num_bytes:
                    buffer = np.empty(chunk.num_bytes, np.uint8)
                out = buffer[: chunk.num_bytes]
                said = self._fill(file, chunk.row_start, chunk.num_rows, out)
                if said is not None:
                    remarks.append(said)
                digest.update(out.data)
                write_all(descriptor, out.data, file.data_offset + chunk.offset)
                with self._lock:
                    self._progress(chunk.num_bytes)
            self._written.add(file, index, digest.hexdigest(), remarks)
            self._count(file.extent_size(index))

    def _count(self, num_bytes: int) -> None:
        """Sync in the other thread when enough is finished and it has nothing to do."""
        with self._lock:
            self._unsaved_bytes += num_bytes
            if not self._syncing.done():
                return
            self._syncing.result()
            if self._unsaved_bytes >= self._checkpoint_bytes:
                self._unsaved_bytes = 0
                self._syncing = self._sync_pool.submit(self._written.sync)
