"""The file of a result: looked at before measuring, written whole, never a stranger's."""

import os
import re
import stat
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engramctl.errors import ConfigError
from engramctl.storage.atomic import os_errors, storage_error, write_json

_BEGINS = re.compile(rb'\s*\{\s*"schema":\s*"engramctl\.bench/\d')
_BEGINNING_BYTES = 256


def result_file(out: Path, *, force: bool) -> Path:
    """Return where a result for `out` goes, links followed; leaves nothing there.

    Raises:
        ConfigError: a folder; a file, unless it is empty, or a result and `force` is given; a file
            that is no result where the result is written before it gets its name.
        StorageError: the file cannot be written: its folder is missing or read-only.
    """
    target = Path(os.path.realpath(out))
    begun = target.with_name(target.name + ".new")  # where write_json begins
    with os_errors("write", out):
        for place in (target, begun):
            if _is_taken(place) and not _is_result(place):
                what = "is a folder" if place.is_dir() else "is not a result of bench"
                raise ConfigError(
                    f"{out if place is target else place} {what} and is not replaced",
                    hint="name another file with -o, or remove this one yourself",
                )
        if _is_taken(target) and not force:
            raise ConfigError(
                f"{out} exists already",
                hint="add --force to replace it, or name another file with -o",
            )
    try:
        tempfile.TemporaryFile(dir=target.parent).close()
    except OSError as error:
        told = OSError(error.errno, error.strerror)
        raise storage_error(told, "write", out) from error
    return target


def write_result(document: Mapping[str, Any], target: Path) -> None:
    """Write the document whole, or leave what was there."""
    with os_errors("write", target):
        write_json(target, document)


def _is_taken(path: Path) -> bool:
    """Tell whether something lies there; an empty file is nothing. OSErrors are the caller's."""
    try:
        found = path.lstat()
    except FileNotFoundError:
        return False
    return not (stat.S_ISREG(found.st_mode) and found.st_size == 0)


def _is_result(path: Path) -> bool:
    """Tell whether a file begins as results do; a cut one does too."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _BEGINS.match(file.read(_BEGINNING_BYTES)) is not None
