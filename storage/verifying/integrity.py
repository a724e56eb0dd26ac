"""Is every byte right? Sizes and headers by opening, then every extent's checksum, in parallel."""

import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engramctl.errors import CheckFailed, FormatError
from engramctl.runtime.threads import default_workers
from engramctl.storage.dictionary.read import check_files
from engramctl.storage.files.atomic import os_errors
from engramctl.storage.files.checksum import hash_range
from engramctl.storage.files.published import read_manifest
from engramctl.storage.format.dictionary_entry import DictionaryFile
from engramctl.storage.format.manifest import Shard
from engramctl.storage.reading.table import TableFiles, open_table, rebuild_hint


@dataclass(frozen=True)
class VerifyReport:
    """What was checked and found right.

    Attributes:
        path: the folder.
        num_files: row files.
        num_extents: checksums compared.
        num_bytes: row bytes hashed.
    """

    path: Path
    num_files: int
    num_extents: int
    num_bytes: int


@dataclass(frozen=True)
class _Extent:
    of: Shard | DictionaryFile
    index: int

    @property
    def start(self) -> int:
        return self.index * self.of.extent_bytes

    @property
    def num_bytes(self) -> int:
        return min(self.of.extent_bytes, self.of.data_bytes - self.start)


def verify(
    path: Path | str,
    *,
    progress: Callable[[int], None] = lambda amount: None,
    workers: int | None = None,
) -> VerifyReport:
    """Check manifest, sizes, headers and every extent of a table or shards folder.

    Args:
        path: the folder.
        progress: told of bytes as they are checked.
        workers: hashing threads (default: one a core).

    Raises:
        CheckFailed: the first thing that is wrong, in manifest order, with file and offset.
        FormatError: the folder is unfinished or not one of ours.
        StorageError: it cannot be read.
    """
    path = Path(path)
    document = read_manifest(path)
    try:
        table = open_table(path)
    except FormatError as error:
        if not str(document.get("schema")).startswith("engramctl."):
            raise
        raise CheckFailed(error.message, facts=error.facts, hint=error.hint) from error
    files: list[Shard | DictionaryFile] = []
    files += (shard for layer in table.manifest.layers for shard in layer.shards)
    files += _dictionary_files(table)
    extents = [_Extent(one, i) for one in files for i in range(len(one.xxh3_128))]

    def found(extent: _Extent) -> str | None:
        file = path / extent.of.file
        with os_errors("read", file), file.open("rb", buffering=0) as handle:
            os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_SEQUENTIAL)
            offset = extent.of.data_offset + extent.start
            return hash_range(handle.fileno(), offset, extent.num_bytes)

    pool = ThreadPoolExecutor(workers or default_workers(), thread_name_prefix="verify")
    try:
        for extent, digest in zip(extents, pool.map(found, extents), strict=True):
            if digest != extent.of.xxh3_128[extent.index]:
                raise _bad_extent(table, extent, digest)
            progress(extent.num_bytes)
    finally:
        pool.shutdown(cancel_futures=True)
    num_bytes = sum(one.data_bytes for one in files)
    return VerifyReport(path, len(files), len(extents), num_bytes)


def verify_files(path: Path, entries: Iterable[Mapping[str, Any]]) -> VerifyReport:
    """Check whole files that a manifest lists with `file`, `bytes` and `xxh3_128`, e.g. counts.

    Args:
        path: the folder.
        entries: one a file.

    Raises:
        CheckFailed: the first file that is missing or has another size or checksum.
        FormatError: an entry is not as above, or names a file elsewhere.
        StorageError: a file cannot be read.
    """
    num_files = num_bytes = 0
    for entry in entries:
        name, size, expected = (entry.get(key) for key in ("file", "bytes", "xxh3_128"))
        if not isinstance(name, str) or not isinstance(size, int) or Path(name).name != name:
            raise FormatError(
                f"{path} lists a file wrongly",
                facts={"expected": "file, bytes and xxh3_128", "found": ascii(entry)[:200]},
            )
        file = path / name
        if not file.is_file():
            raise CheckFailed(f"{name} is missing", facts={"file": file})
        with os_errors("read", file), file.open("rb", buffering=0) as handle:
            found = os.fstat(handle.fileno()).st_size
            digest = hash_range(handle.fileno(), 0, size) if found == size else None
        if digest != expected:
            raise CheckFailed(
                f"{name} is damaged",
                facts={
                    "file": file,
                    "expected": f"{size:,} bytes, {ascii(expected)[:40]}",
                    "found": f"{found:,} bytes, {digest or 'not read'!a}",
                },
            )
        num_files, num_bytes = num_files + 1, num_bytes + size
    return VerifyReport(path, num_files, num_files, num_bytes)


def _dictionary_files(table: TableFiles) -> tuple[DictionaryFile, ...]:
    """Return the files of the n-gram dictionary that are to be checked: none, or both."""
    dictionary = table.manifest.dictionary
    if dictionary is None:
        return ()
    try:
        there = check_files(table.path, table.manifest)
    except FormatError as error:
        raise CheckFailed(error.message, facts=error.facts, hint=error.hint) from error
    return dictionary.files if there else ()


def _bad_extent(table: TableFiles, extent: _Extent, digest: str | None) -> CheckFailed:
    file = extent.of
    offset = file.data_offset + extent.start
    kind = "shard" if isinstance(file, Shard) else "dictionary file"
    return CheckFailed(
        f"{kind} {file.file} is damaged at offset {offset:,}",
        facts={
            "file": table.path / file.file,
            "offset": f"{offset:,} to {offset + extent.num_bytes:,}",
            "expected": file.xxh3_128[extent.index],
            "found": digest or "the end of the file",
        },
        hint=f"bytes changed after they were written; {rebuild_hint(table.path, table.manifest)}",
    )
