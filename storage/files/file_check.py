"""Is a file of a folder the one the manifest speaks of? Kind, place, size and header."""

import errno
import os
import stat
from pathlib import Path

from engramctl.errors import FormatError
from engramctl.storage.files.atomic import storage_error

_FLAGS = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK


def check_file(
    folder: Path, name: str, file_bytes: int, header: bytes, again: str, kind: str = "shard"
) -> None:
    """Check one file without reading its data.

    Args:
        folder: where it must lie, itself or the file it is a link to.
        name: of the file.
        file_bytes: its whole length.
        header: what it begins with.
        again: the words that make it again, for hints.
        kind: what it is called.

    Raises:
        FormatError: missing, elsewhere, no file, of another length or with another header.
        StorageError: it cannot be read.
    """
    path = folder / name
    try:
        descriptor = os.open(path, _FLAGS | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise FormatError(
                f"{kind} {name} is missing",
                facts={"file": path, "expected": f"{file_bytes:,} bytes", "found": "no such file"},
                hint=again,
            ) from error
        if error.errno != errno.ELOOP:
            raise storage_error(error, "read", path) from error
        descriptor = _open_link(folder, path, again, kind)
    try:
        _check_open(descriptor, path, file_bytes, header, again, kind)
    except OSError as error:
        raise storage_error(error, "read", path) from error
    finally:
        os.close(descriptor)


def _open_link(folder: Path, path: Path, again: str, kind: str) -> int:
    """Open what a link names, when that lies in the folder itself."""
    try:
        target = path.resolve()
        if target.parent == folder.resolve():
            return os.open(target, _FLAGS)
    except (OSError, RuntimeError) as error:
        raise FormatError(
            f"{kind} {path.name} is a link to nothing", facts={"file": path}, hint=again
        ) from error
    raise FormatError(
        f"{kind} {path.name} is a link that leaves the folder",
        facts={"file": path, "expected": "a file in the folder", "found": target},
        hint=f"replace the link by the file it names, or {again}",
    )


def _check_open(
    descriptor: int, path: Path, file_bytes: int, header: bytes, again: str, kind: str
) -> None:
    facts = os.fstat(descriptor)
    if not stat.S_ISREG(facts.st_mode):
        raise FormatError(f"{kind} {path.name} is not a file", facts={"file": path}, hint=again)
    missing = file_bytes - facts.st_size
    if missing:
        side = f"{missing:,} bytes short" if missing > 0 else f"{-missing:,} bytes too long"
        raise FormatError(
            f"{kind} {path.name} is {side}",
            facts={
                "file": path,
                "expected": f"{file_bytes:,} bytes",
                "found": f"{facts.st_size:,} bytes",
            },
            hint=f"the file was changed after it was written; {again}",
        )
    if os.pread(descriptor, len(header), 0) != header:
        raise FormatError(
            f"{kind} {path.name} has another header than the manifest says",
            facts={
                "file": path,
                "expected": ascii(header[8:].rstrip().decode()),
                "found": ascii(os.pread(descriptor, 200, 8).rstrip()),
            },
            hint=f"the file was replaced or edited; {again}",
        )
