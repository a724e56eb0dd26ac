"""Single steps on files: JSON replaced whole, folders synced, names exchanged."""

import contextlib
import ctypes
import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from engramctl.errors import StorageError

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_HINTS = {
    errno.ENOSPC: "the disk is full: free space, or name a folder on another disk",
    errno.EDQUOT: "the disk quota is used up: free space, or name a folder on another disk",
    errno.EROFS: "the file system is mounted read-only: name a folder elsewhere",
    errno.ENOTDIR: "a part of the path is a file, not a folder: name a folder elsewhere",
    errno.EEXIST: "a part of the path is a file, not a folder: name a folder elsewhere",
    errno.EACCES: "no permission there: name a folder elsewhere",
    errno.EPERM: "no permission there: name a folder elsewhere",
    errno.EFBIG: "the file system allows no file of this size: name a folder elsewhere",
    errno.ENAMETOOLONG: "the name is too long: name a shorter one",
    errno.ENOENT: "check the path",
}


def storage_error(error: OSError, action: str, path: Path) -> StorageError:
    """Turn an OSError into a StorageError with path, reason and a hint.

    Args:
        error: what the system said.
        action: a verb, e.g. `write`.
        path: what was worked on, used when the error names no file itself.
    """
    reason = error.strerror or str(error)
    name = Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else path
    code = error.errno or 0
    return StorageError(
        f"cannot {action} {name}: {reason}",
        facts={"path": path, "reason": f"{reason} ({errno.errorcode.get(code, code)})"},
        hint=_HINTS.get(code),
    )


@contextlib.contextmanager
def os_errors(action: str, path: Path) -> Iterator[None]:
    """Name the path of an OSError raised inside: it leaves as a StorageError."""
    try:
        yield
    except OSError as error:
        raise storage_error(error, action, path) from error


def write_all(descriptor: int, data: memoryview, offset: int) -> None:
    """Write bytes at a place of a file, in as many calls as the system wants."""
    while data:
        count = os.pwrite(descriptor, data, offset)
        data = data[count:]
        offset += count


def dump_json(document: Mapping[str, Any]) -> bytes:
    """Return a document as the bytes every JSON file of ours holds: one-space indent, newline.

    What is no UTF-8, from a file's name, is written as JSON's escape of it.
    """
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    return text.encode(errors="backslashreplace")


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON file in one step: a reader finds the old or the new one, never a half."""
    fresh = path.with_name(path.name + ".new")
    with fresh.open("wb") as file:
        file.write(dump_json(document))
        file.flush()
        os.fsync(file.fileno())
    os.replace(fresh, path)


def sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Sync every file and folder below `folder`, and itself."""
    for root, _, names in os.walk(folder):
        for name in names:
            sync(Path(root) / name)
        sync(Path(root))


def move(source: Path, target: Path) -> None:
    """Rename `source` to `target`; a directory already there changes places with it."""
    if not target.exists():
        os.rename(source, target)
    elif not _exchange(source, target):
        # No RENAME_EXCHANGE on this file system: two renames, and between them NAME is missing
        # while the old directory is whole under NAME.old.
        old = target.with_name(target.name + ".old")
        os.rename(target, old)
        try:
            os.rename(source, target)
        except OSError:
            os.rename(old, target)
            raise
        shutil.rmtree(old, ignore_errors=True)


def _exchange(first: Path, second: Path) -> bool:
    """Swap two names in one system call (Linux renameat2); False when it is not to be had."""
    call = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if call is None:
        return False
    names = (_AT_FDCWD, os.fsencode(first), _AT_FDCWD, os.fsencode(second))
    if call(*names, _RENAME_EXCHANGE) == 0:
        return True
    code = ctypes.get_errno()
    if code in (errno.ENOSYS, errno.EINVAL, errno.ENOTSUP):
        return False
    raise OSError(code, os.strerror(code), os.fspath(second))
