"""`recognise` any path; `refused` and `stand_in` are the errors that other doors raise."""

from pathlib import Path

from engramctl.errors import FormatError
from engramctl.storage.kinds.files import file_kind
from engramctl.storage.kinds.folders import folder_kind
from engramctl.storage.kinds.kind import PathKind


def recognise(path: Path) -> PathKind | None:
    """Return what a path is; no file is waited for, and at most its beginning is read.

    Returns:
        None where it is not there, may not be read, or is of no kind that we know.

    Example:
        >>> recognise(Path("/dev/null")).name
        'a device'
    """
    return folder_kind(path) if path.is_dir() else file_kind(path)


def refused(path: Path, wanted: str) -> FormatError | None:
    """Return the error for a path that is not what a command wanted; None: of no known kind."""
    kind = recognise(path)
    return None if kind is None else kind.refused(path, wanted)


def stand_in(path: Path, wanted: str) -> FormatError | None:
    """Return the error for what is there in place of a file: a pointer, a web page, nothing."""
    kind = recognise(path)
    return kind.refused(path, wanted) if kind is not None and kind.stands_in else None
