"""Published directories, read: what their files are called, and what the manifest says.

`engramctl.storage.writing.partial_folder` writes them.
"""

import errno
import os
import shlex
from pathlib import Path
from typing import Any

from engramctl.errors import EngramError, FormatError
from engramctl.storage.files.atomic import storage_error
from engramctl.storage.files.strict_json import load_json, load_strict, read_limited

MANIFEST = "manifest.json"
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


def _without_manifest(path: Path) -> str:
    """Return what to do with a folder without a manifest: a model's own, or none of ours."""
    if any(path.glob("*.safetensors")) or any(path.glob("*.gguf")):
        return (
            "a checkpoint has none, and no checksums to check; "
            f"run: engramctl inspect {shlex.quote(str(path))}"
        )
    return "name a folder that engramctl made; an unfinished one goes on with --resume"


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
    if not path.is_dir():
        raise FormatError(f"{path} is not a folder", hint="name the folder with manifest.json")
    file = path / MANIFEST
    if not file.exists():
        raise FormatError(
            f"{path} has no {MANIFEST}",
            facts={"folder": path, "expected": f"a finished folder with {MANIFEST}"},
            hint=_without_manifest(path),
        )
    content = read_limited(file)
    try:
        document = load_strict(content)
    except ValueError as error:
        raise FormatError(f"{file} is not valid JSON: {error}", facts={"file": file}) from error
    if not isinstance(document, dict):
        raise FormatError(f"{file} is not a JSON object", facts={"file": file})
    return document
