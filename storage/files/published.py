"""Published directories, read: what their files are called, and what the manifest says.

`engramctl.storage.writing.partial_folder` writes them.
"""

import errno
import os
from pathlib import Path
from typing import Any

from engramctl.errors import EngramError, FormatError
from engramctl.storage.files.atomic import storage_error
from engramctl.storage.files.strict_json import load_json, load_strict, read_limited
from engramctl.storage.kinds.folders import MANIFEST as MANIFEST
from engramctl.storage.kinds.recognise import refused

STATE = "state.json"
RECORD = "made_from.json"  # beside a manifest: what the folder was made from, on this machine
SUFFIX = ".partial"


def partial_path(path: Path) -> Path:
    """Return the sibling in which `path` is being made."""
    return path.with_name(path.name + SUFFIX)


def read_state(partial: Path) -> dict[str, Any] | None:
    """Return what `state.json` of a partial directory says, or None when it says nothing."""
    try:
        state = load_json(read_limited(partial / STATE))
    except (EngramError, ValueError):
        return None
    return state if isinstance(state, dict) else None


def unfinished(partial: Path) -> FormatError:
    """Return the error for a directory that is still called `.partial`."""
    state = read_state(partial) or {}
    command = state.get("command")
    command = command if isinstance(command, str) and command.isalpha() else "build"
    option = "--force" if state.get("resumable") is False else "--resume"
    return FormatError(
        f"{partial} is an unfinished {command}",
        facts={"path": partial},
        hint=f"run the same command again: engramctl {command} ... {option}",
    )


def read_manifest(path: Path) -> dict[str, Any]:
    """Return the manifest of a finished directory as the JSON object it is, unchecked.

    Raises:
        FormatError: the directory is unfinished, is not one of ours, or the JSON is broken.
        StorageError: it is not there or cannot be read.
    """
    if os.path.realpath(path).endswith(SUFFIX):
        raise unfinished(path)
    if not path.exists():
        if partial_path(path).is_dir():
            raise unfinished(partial_path(path))
        raise storage_error(OSError(errno.ENOENT, os.strerror(errno.ENOENT)), "open", path)
    wanted = f"a finished folder with {MANIFEST}"
    if not path.is_dir():
        raise refused(path, wanted) or FormatError(
            f"{path} is not a folder", hint=f"name the folder with {MANIFEST}"
        )
    file = path / MANIFEST
    if not file.exists():
        raise refused(path, wanted) or FormatError(
            f"{path} has no {MANIFEST}, and nothing else in it that engramctl knows",
            facts={"folder": path, "expected": wanted},
            hint="name a folder that engramctl made, or one with a model's files",
        )
    content = read_limited(file)
    try:
        document = load_strict(content)
    except ValueError as error:
        raise FormatError(f"{file} is not valid JSON: {error}", facts={"file": file}) from error
    if not isinstance(document, dict):
        raise FormatError(f"{file} is not a JSON object", facts={"file": file})
    return document
