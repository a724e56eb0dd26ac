"""The file of a result: looked at before measuring, written whole, never a stranger's."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engramctl.errors import FormatError
from engramctl.storage.files.atomic import dump_json, os_errors
from engramctl.storage.files.output_file import BEGINNING_BYTES, output_file, written_whole

_BEGINS = re.compile(rb'\s*\{\s*"schema":\s*"engramctl\.bench/\d')


def result_file(out: Path, *, force: bool) -> Path:
    """Return where a result for `out` goes, links followed; leaves nothing there.

    Raises:
        ConfigError: a folder; a file, unless it is empty, or a result and `force` is given.
        StorageError: the file cannot be written: its folder is missing or read-only.
    """
    return output_file(out, force=force, what="a result of bench", is_ours=_is_result)


def write_result(document: Mapping[str, Any], target: Path) -> None:
    """Write the document whole, or leave what was there."""
    with os_errors("write", target), written_whole(target) as path:
        path.write_bytes(dump_json(document))


def not_as_written(path: Path, error: Exception) -> FormatError:
    """Return the error of a file that calls itself a result, and has parts missing or wrong."""
    return FormatError(
        f"{path} is not as engramctl bench writes its results",
        facts={"found": f"{type(error).__name__}: {error}"[:200]},
        hint="measure again: engramctl bench",
    )


def _is_result(path: Path) -> bool:
    """Tell whether a file begins as results do; a cut one does too."""
    with path.open("rb") as file:
        return _BEGINS.match(file.read(BEGINNING_BYTES)) is not None
