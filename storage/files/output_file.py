"""One file that a command makes under a name given to it: looked at first, written whole.

A file that is there is replaced only when it is a result of the same kind, and told to be; a
stranger's never is, nor one beside it. Devices and pipes, such as /dev/null and /dev/stdout, are
written to as they are.
"""

import contextlib
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

from engramctl.errors import ConfigError
from engramctl.storage.files.atomic import new_path, os_errors, storage_error, sync

BEGINNING_BYTES = 256


def output_file(
    out: Path, *, force: bool, what: str, is_ours: Callable[[Path], bool], hint: str = ""
) -> Path:
    """Return where the file goes, links followed; leaves nothing there.

    Args:
        out: the name as given.
        force: replace an earlier result.
        what: it is, for messages: "a result of bench".
        is_ours: whether a regular file is an earlier one, cut ones included.
        hint: what to do instead of --force, where that is a better way.

    Raises:
        ConfigError: a folder; a file, unless it is empty, or ours and `force` is given.
        StorageError: the file cannot be written: its folder is missing or read-only.
    """
    with os_errors("write", out):
        if is_stream(out):
            return out
        target = Path(os.path.realpath(out))
        if _is_taken(target):
            if not (target.is_file() and is_ours(target)):
                told = "is a folder" if target.is_dir() else f"is not {what}"
                raise ConfigError(
                    f"{out} {told} and is not replaced",
                    hint="name another file with -o, or remove this one yourself",
                )
            if not force:
                raise ConfigError(
                    f"{out} exists already",
                    hint=hint or "add --force to replace it, or name another file with -o",
                )
    try:
        fresh = new_path(target)
        os.close(os.open(fresh, _NEW, 0o600))
        fresh.unlink()
    except OSError as error:
        raise storage_error(OSError(error.errno, error.strerror), "write", out) from error
    return target


@contextlib.contextmanager
def written_whole(target: Path) -> Iterator[Path]:
    """Give the name to write to: of a new file that takes its place when all went well.

    Args:
        target: what `output_file` returned.
    """
    if is_stream(target):
        yield target
        return
    fresh = new_path(target)
    try:
        os.close(os.open(fresh, _NEW, 0o666))
        yield fresh
        sync(fresh)
        os.replace(fresh, target)
    except BaseException:
        with contextlib.suppress(OSError):
            fresh.unlink()
        raise
    with contextlib.suppress(PermissionError):  # a folder one may write to and not list
        sync(target.parent)


def is_stream(path: Path) -> bool:
    """Whether a name is that of a device or a pipe that takes bytes as they come."""
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return False
    return stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


def _is_taken(path: Path) -> bool:
    """Tell whether something lies there; an empty file is nothing."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return not (stat.S_ISREG(found.st_mode) and found.st_size == 0)
