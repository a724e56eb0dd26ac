"""The file of a result: looked at before measuring, written whole, never a stranger's."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engramctl.errors import ConfigError, EngramError, FormatError
from engramctl.results.document import SCHEMA, SCHEMAS, as_current
from engramctl.results.earlier import Earlier
from engramctl.storage.files.atomic import dump_json, os_errors
from engramctl.storage.files.output_file import (
    BEGINNING_BYTES,
    is_stream,
    output_file,
    written_whole,
)
from engramctl.storage.files.strict_json import load_json, read_limited

_BEGINS = re.compile(rb'\s*\{\s*"schema":\s*"engramctl\.bench/\d')


def result_file(out: Path, *, force: bool, resume: bool = False) -> Path:
    """Return where a result for `out` goes, links followed; leaves nothing there.

    Raises:
        ConfigError: a folder; a file, unless it is empty, or a result and `force` or `resume` is
            given; a device or a pipe with `resume`.
        StorageError: the file cannot be written: its folder is missing or read-only.
    """
    if resume and is_stream(out):
        raise ConfigError(
            f"{out} keeps nothing that --resume could go on from", hint="name a file with -o"
        )
    return output_file(
        out,
        force=force or resume,
        what="a result of bench",
        is_ours=_is_result,
        hint="add --resume if its run was interrupted, --force to replace it, or name another "
        "file with -o",
    )


def earlier_result(target: Path) -> Earlier | None:
    """Return the result that `target` holds, None where there is none to go on from.

    Raises:
        FormatError: it is cut, or of another schema than runs write now.
        StorageError: it cannot be read.
    """
    if not target.exists() or not target.stat().st_size:
        return None
    hint = "run again with --force in place of --resume: it starts over"
    try:
        document = load_json(read_limited(target))
    except ValueError as error:
        raise FormatError(
            f"{target} is not a whole result", facts={"reason": error}, hint=hint
        ) from error
    if document["schema"] != SCHEMA:
        raise FormatError(
            f"{target} was written by another engramctl",
            facts={"expected": SCHEMA, "found": document["schema"]},
            hint=hint,
        )
    return Earlier(document, target)


def result_of(path: Path) -> dict[str, Any] | None:
    """Return a result as `engramctl.bench/2` has it, None when the file is no result.

    Raises:
        FormatError: it calls itself one, and is not as `bench` writes them.
    """
    try:
        found = load_json(read_limited(path))
        ours = isinstance(found, dict) and found["schema"] in SCHEMAS
    except (EngramError, ValueError, LookupError, TypeError):
        return None
    if not ours:
        return None
    try:
        return as_current(found)
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise not_as_written(path, error) from error


def read_result(path: Path) -> dict[str, Any]:
    """Return a result as `engramctl.bench/2` has it.

    Raises:
        FormatError: it is none, or not as `bench` writes them.
        StorageError: it is not there, or cannot be read.
    """
    found = result_of(path)
    if found is None:
        read_limited(path)  # raises where that is the reason
        raise FormatError(
            f"{path} is no result of engramctl bench",
            facts={"expected": f"JSON with the schema {SCHEMA}"},
            hint="name a file that bench wrote with -o; engramctl inspect says what this one is",
        )
    return found


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
