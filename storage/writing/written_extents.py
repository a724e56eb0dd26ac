"""What of a table is written: which extents of which files, synced, and told by `state.json`."""

import os
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from engramctl.errors import ConfigError
from engramctl.storage.files.atomic import write_all
from engramctl.storage.files.checksum import hash_range
from engramctl.storage.writing.file_plan import FilePlan
from engramctl.storage.writing.partial_folder import PartialDirectory
from engramctl.storage.writing.plan import TablePlan

Extent = tuple[str, list[Any]]  # its digest, and what was said of its chunks


class Written:
    """The finished extents of a table in the making, and its open files.

    `add` and `sync` may be called from different threads.
    """

    def __init__(self, plan: TablePlan, work: PartialDirectory) -> None:
        """Nothing is written yet; `take_up` finds what is."""
        self._plan = plan
        self._work = work
        self._lock = threading.Lock()
        self._open: dict[str, int] = {}
        self._failed = False
        self._extents: dict[str, list[Extent | None]] = {
            file.name: [None] * file.num_extents for file in plan.files
        }

    def take_up(self) -> int:
        """Compare `state.json` with the plan and believe what is really there.

        Returns:
            data bytes of the extents that are finished.

        Raises:
            ConfigError: it was begun with other options.
        """
        state = self._work.state or {}
        before = state.get("plan")
        if before is not None and before != self._plan.identity:
            raise ConfigError(
                f"{self._work.path.name} was begun with other options",
                facts=_differences(before, self._plan.identity),
                hint="give the same options with --resume, or add --force to start over",
            )
        files = state.get("files")
        for file in self._plan.files:
            found = _extents(file, files.get(file.name) if isinstance(files, dict) else None)
            if found is not None:
                path = self._work.path / file.name
                self._extents[file.name] = _believed(path, file, found, every=self._work.suspect)
        self._save({name: list(found) for name, found in self._extents.items()})
        return sum(
            file.extent_size(index)
            for file in self._plan.files
            for index, extent in enumerate(self._extents[file.name])
            if extent is not None
        )

    def missing(self) -> list[tuple[FilePlan, int]]:
        """Return the extents that are to be written, in order."""
        return [
            (file, index)
            for file in self._plan.files
            for index, extent in enumerate(self._extents[file.name])
            if extent is None
        ]

    def open(self, file: FilePlan) -> int:
        """Return the descriptor of a file; the first time its header is written."""
        with self._lock:
            if file.name not in self._open:
                flags = os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
                descriptor = os.open(self._work.path / file.name, flags, 0o644)
                self._open[file.name] = descriptor
                end = _end(file, self._extents[file.name])
                os.ftruncate(descriptor, end and file.data_offset + end)
                if not end:
                    write_all(descriptor, memoryview(file.header), 0)
            return self._open[file.name]

    def add(self, file: FilePlan, index: int, digest: str, remarks: list[Any]) -> None:
        """Count an extent as written; it is saved when it is synced."""
        with self._lock:
            self._extents[file.name][index] = (digest, remarks)

    def sync(self) -> None:
        """Wait until what was added is on the disk, say so in `state.json`, close whole files.

        After a sync that failed nothing more is saved: the system tells it once, and a later sync
        that succeeds says nothing of the data that was dropped, whichever thread added it when.
        """
        with self._lock:
            if self._failed:
                return
            extents = {name: list(found) for name, found in self._extents.items()}
            descriptors = dict(self._open)
        try:
            for descriptor in descriptors.values():
                os.fdatasync(descriptor)
        except OSError:
            self._failed = True
            self._work.doubt()
            raise
        self._save(extents)
        with self._lock:
            for name, descriptor in descriptors.items():
                if None not in extents[name]:
                    del self._open[name]
                    os.close(descriptor)

    def close(self) -> None:
        """Close all files."""
        while self._open:
            os.close(self._open.popitem()[1])

    def digests(self) -> dict[str, tuple[str, ...]]:
        """Return every file's checksums, when all is written."""
        extents = self._extents.items()
        return {name: tuple(one[0] for one in found if one) for name, found in extents}

    def remarks(self) -> Iterator[Any]:
        """Give what was said of every chunk, in the order of files and extents."""
        for found in self._extents.values():
            for extent in found:
                yield from extent[1] if extent else ()

    def _save(self, extents: Mapping[str, list[Extent | None]]) -> None:
        files = {name: found for name, found in extents.items() if any(found)}
        self._work.save_state({"plan": self._plan.identity, "files": files})


def _extents(file: FilePlan, found: object) -> list[Extent | None] | None:
    """Return the extents of a file as `state.json` has them, None when it has them otherwise."""
    if not isinstance(found, list) or len(found) != file.num_extents:
        return None
    extents: list[Extent | None] = []
    for one in found:
        if one is None:
            extents.append(None)
        elif isinstance(one, list) and len(one) == 2 and isinstance(one[1], list):
            extents.append((str(one[0]), one[1]))
        else:
            return None
    return extents


def _end(file: FilePlan, extents: list[Extent | None]) -> int:
    """Return where the last finished extent ends in a file's data; 0: there is none."""
    last = max((index for index, extent in enumerate(extents) if extent is not None), default=-1)
    return min((last + 1) * file.extent_bytes, file.data_bytes)


def _believed(
    path: Path, file: FilePlan, extents: list[Extent | None], *, every: bool
) -> list[Extent | None]:
    """Return the extents that a file really holds; the others are to be written again.

    Checks header, size and the last extent, or every one: then each by itself, and as the disk has
    it, not the page cache.
    """
    nothing: list[Extent | None] = [None] * len(extents)
    end = _end(file, extents)
    if not end or path.is_symlink() or not path.is_file():
        return nothing
    finished = [index for index, extent in enumerate(extents) if extent is not None]
    with path.open("rb", buffering=0) as handle:
        descriptor = handle.fileno()
        if os.fstat(descriptor).st_size < file.data_offset + end:
            return nothing
        if every:
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        if handle.read(file.data_offset) != file.header:
            return nothing
        for index in finished if every else finished[-1:]:
            start = file.data_offset + index * file.extent_bytes
            extent = extents[index]
            found = hash_range(descriptor, start, file.extent_size(index))
            if extent is None or found != extent[0]:
                if not every:
                    return nothing
                extents[index] = None
    return extents


def _differences(before: Any, now: Any, place: str = "") -> Mapping[str, object]:
    """Return up to three places where two JSON values differ, as facts."""
    if isinstance(before, dict) and isinstance(now, dict):
        facts: dict[str, object] = {}
        for name in [*before, *(name for name in now if name not in before)]:
            inner = f"{place}.{name}" if place else name
            facts |= _differences(before.get(name), now.get(name), inner)
        return dict(list(facts.items())[:3])
    return {} if before == now else {place: f"{before!s:.60} there, {now!s:.60} now"}
