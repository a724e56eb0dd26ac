"""Folders of this machine."""

import contextlib
import errno
import os
import stat

from engramctl.errors import CorpusError
from engramctl.sources.file import SourceFile, printable
from engramctl.sources.rule import MARK_BYTES, is_our_mark, is_pattern, join
from engramctl.sources.walk import Entry, Kind


class LocalTree:
    """Files under their paths; links are followed."""

    def entry(self, path: str) -> Entry | None:
        """Look a path up; None when there is nothing. Raises CorpusError."""
        try:
            is_link = stat.S_ISLNK(os.lstat(path or ".").st_mode)
            real = os.path.realpath(path or ".")
        except OSError as error:
            is_no_name = error.errno == errno.ENAMETOOLONG and is_pattern(path)
            if is_no_name or error.errno in (errno.ENOENT, errno.ENOTDIR):
                return None
            raise _refused("look for", path, error) from error
        return _entry(path, real, is_link=is_link)

    def entries(self, folder: Entry) -> list[Entry]:
        """List a folder. Raises CorpusError."""
        try:
            with os.scandir(folder.path or ".") as found:
                return [_listed(folder, one) for one in found]
        except OSError as error:
            raise _refused("list", folder.path, error) from error

    def file(self, path: str) -> SourceFile:
        """Return what opens a path."""
        return SourceFile.local(path)

    def is_our_mark(self, mark: Entry) -> bool:
        """Whether a file is engramctl's mark of a folder; one that cannot be read is not."""
        try:
            with open(mark.path, "rb") as file:
                return is_our_mark(file.read(MARK_BYTES))
        except OSError:
            return False


def _listed(folder: Entry, one: "os.DirEntry[str]") -> Entry:
    """Say what a name is by the listing itself, where it knows: no question a file."""
    path = join(folder.path, one.name)
    if one.is_symlink():
        return _entry(path, os.path.realpath(path), is_link=True)
    real = join(folder.real, one.name)
    with contextlib.suppress(OSError):
        if one.is_dir(follow_symlinks=False):
            return Entry(path, Kind.FOLDER, real)
        if one.is_file(follow_symlinks=False):
            return Entry(path, Kind.FILE, real)
    return _entry(path, real, is_link=False)


def _entry(path: str, real: str, *, is_link: bool) -> Entry:
    try:
        mode = os.stat(path or ".").st_mode
    except OSError as error:
        return Entry(path, Kind.DANGLING, real, _reason(path, error, is_link=is_link))
    if stat.S_ISDIR(mode):
        return Entry(path, Kind.FOLDER, real)
    if stat.S_ISREG(mode):
        return Entry(path, Kind.FILE, real)
    return Entry(path, Kind.OTHER, real, "a pipe, a socket or a device")


def _reason(path: str, error: OSError, *, is_link: bool) -> str:
    target = f"a link to {printable(os.readlink(path))}: " if is_link else ""
    return target + (error.strerror or str(error))


def _refused(action: str, path: str, error: OSError) -> CorpusError:
    return CorpusError(
        f"cannot {action} {printable(path or '.')}",
        facts={"found": error.strerror or str(error)},
        hint="check the name and the permissions, or let mine leave out what it may not look at "
        "with --skip-bad-files",
    )
