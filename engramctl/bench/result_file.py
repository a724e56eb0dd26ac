"""The file of a result: looked at before measuring, written whole, never a stranger's."""

import os
import re
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
        ConfigError: a folder; a file, unless it is empty, or a result and `force` is given.
        StorageError: the file cannot be written: its folder is missing or read-only.
    """
    target = Path(os.path.realpath(out))
    with os_errors("write", out):
        taken = os.path.lexists(target) and not (target.is_file() and target.stat().st_size == 0)
        if taken and not force and _is_result(target):
            raise ConfigError(
                f"{out} exists already",
                hint="add --force to replace it, or name another file with -o",
            )
        if taken and not _is_result(target):
            what = "is a folder" if target.is_dir() else "is not a result of bench"
            raise ConfigError(
                f"{out} {what} and is not replaced",
                hint="name another file with -o, or remove this one yourself",
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


def _is_result(path: Path) -> bool:
    """Tell whether a file begins as results do; a cut one does too."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        return _BEGINS.match(file.read(_BEGINNING_BYTES)) is not None
