"""Single steps on files: JSON replaced whole, folders synced, names exchanged."""

import contextlib
import ctypes
import errno
import json
import os
import secrets
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from engramctl.errors import StorageError

NEW_NAME = r"(?:[^/]+/)?\.[^/]+\.[0-9a-f]{8}\.new"  # of `new_path`: what a kill may leave
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


@contextlib.contextmanager
def new_file(path: Path) -> Iterator[int]:
    """Make a file, or empty the one that is there, and give its descriptor; never through a link.

    When it is left without an error its data is on the disk: only the descriptor that wrote it is
    sure to be told of a write that failed.
    """
    flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    descriptor = os.open(path, flags, 0o644)
    try:
        yield descriptor
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def new_path(target: Path) -> Path:
    """Return a name beside `target` that nobody has, for what is written whole before it is named.

    `NEW_NAME` matches it.
    """
    return target.with_name(f".{target.name}.{secrets.token_hex(4)}.new")


def dump_json(document: Mapping[str, Any]) -> bytes:
    """Return a document as the bytes every JSON file of ours holds: one-space indent, newline.

    What Python makes of a name that is not UTF-8 cannot be encoded; it is written as JSON's escape.
    """
    text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
    return text.encode(errors="backslashreplace")


def write_json(path: Path, document: Mapping[str, Any]) -> None:
    """Write a JSON file in one step: a reader finds the old or the new one, never a half."""
    fresh = new_path(path)
    try:
        with new_file(fresh) as descriptor:
            write_all(descriptor, memoryview(dump_json(document)), 0)
        os.replace(fresh, path)
    except OSError:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise


def sync(path: Path) -> None:
    """Wait until a file, or a folder's list of names, is on the disk."""
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_tree(folder: Path) -> None:
    """Sync every file and folder below `folder`, and itself."""
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                sync_tree(Path(entry.path))
            else:
                sync(Path(entry.path))
    sync(folder)


def make_folders(path: Path) -> None:
    """Make a folder and those above it that are missing, each on the disk for good."""
    if not path.is_dir():
        make_folders(path.parent)
        path.mkdir(exist_ok=True)
        sync(path.parent)


def old_path(target: Path) -> Path:
    """Return where `move` puts an old folder when names cannot be exchanged."""
    return target.with_name(target.name + ".old")


def move(source: Path, target: Path, *, replace: bool) -> Path | None:
    """Rename a folder; with `replace` one that is already there changes places with it.

    Returns:
        where the old folder is now, None when there was none, or an empty one.
    """
    try:
        os.rename(source, target)
    except OSError as error:
        if not replace or error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
    else:
        return None
    if exchange_names(source, target):
        return source
    # No RENAME_EXCHANGE on this file system: two renames, and between them NAME is missing while
    # the old folder is whole under NAME.old.
    old = old_path(target)
    os.rename(target, old)  # fails when a folder is there that is not empty
    try:
        os.rename(source, target)
    except OSError:
        os.rename(old, target)
        raise
    return old


def exchange_names(first: Path, second: Path) -> bool:
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
