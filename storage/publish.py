"""Directories that are whole or are called `NAME.partial`: there is no third state.

Work happens in the sibling `NAME.partial/`; its `state.json` says which command writes it and how
far it is. When all is written, `manifest.json` comes last, everything is synced, and one rename
makes it `NAME`. `--force` exchanges it with the old directory in one system call, so that a
failure at any moment leaves the old one or the new one.
"""

import contextlib
import errno
import fcntl
import os
import shutil
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from engramctl.errors import ConfigError, EngramError, FormatError, StorageError
from engramctl.storage.atomic import (
    move,
    os_errors,
    storage_error,
    sync,
    sync_tree,
    write_json,
)
from engramctl.storage.strict_json import load_json, load_strict, read_limited

MANIFEST = "manifest.json"
STATE = "state.json"
SUFFIX = ".partial"
_WRITE_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}


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
    if path.resolve().name.endswith(SUFFIX):
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
            hint="not an engramctl folder, or an unfinished one; run: engramctl build ... --resume",
        )
    content = read_limited(file)
    try:
        document = load_strict(content)
    except ValueError as error:
        raise FormatError(f"{file} is not valid JSON: {error}", facts={"file": file}) from error
    if not isinstance(document, dict):
        raise FormatError(f"{file} is not a JSON object", facts={"file": file})
    return document


class PartialDirectory:
    """A directory in the making, as a context manager.

        with PartialDirectory(target, force=force, resume=resume, command="build") as work:
            ... write files into work.path, work.save_state({...}) now and then ...
            work.publish(manifest)

    Leaving without `publish` keeps the partial directory for `--resume`, or removes it when
    `keep_on_failure` is False or nothing was written. OSErrors of writing (disk full, read-only)
    leave as StorageError. Not for several threads; a lock keeps a second process out.
    """

    def __init__(
        self,
        path: Path,
        *,
        force: bool = False,
        resume: bool = False,
        keep_on_failure: bool = True,
        command: str = "build",
        document: str = MANIFEST,
    ) -> None:
        """Look, but write nothing: that begins with `with`.

        Args:
            path: the final directory.
            force: replace a finished directory, and begin an unfinished one anew.
            resume: continue an unfinished directory; begins when there is none.
            keep_on_failure: keep the work when it fails, for `resume`.
            command: the command that makes it, named in hints.
            document: the JSON file that comes last and says what the directory is.

        Raises:
            ConfigError: the name is taken, and neither option says what to do about it.
        """
        self.target = _resolved(path)
        self.path = partial_path(self.target)
        self.state: dict[str, Any] | None = None
        self._shown = path
        self._command = command
        self._document = document
        self._keep = keep_on_failure
        self._resume = resume
        self._lock: int | None = None
        self._published = False
        self.abandoned = False
        check_target(path, force=force, resume=resume, resumable=keep_on_failure, document=document)

    def __enter__(self) -> Self:
        """Make the partial directory, or take up the one that is there."""
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._take_lock()
            self.state = read_state(self.path) if self._resume else None
            if self.state is None:
                _empty(self.path)
                self.save_state({})
        except OSError as error:
            self._leave(keep=False)
            raise storage_error(error, "make", self.path) from error
        return self

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Replace `state.json` in one step; `state` must be JSON. `.state` has it on resume."""
        about = {"command": self._command, "resumable": self._keep}
        write_json(self.path / STATE, {**state, **about})

    def abandon(self) -> None:
        """Remove the work when it is left, whatever was written: nothing can continue it."""
        self.abandoned = True

    def publish(self, manifest: Mapping[str, Any]) -> None:
        """Write the manifest, sync everything and give the directory its final name.

        Raises:
            StorageError: a write failed; the old directory, if any, is untouched.
        """
        with os_errors("publish", self._shown):
            write_json(self.path / self._document, manifest)
            sync_tree(self.path)
            (self.path / STATE).unlink(missing_ok=True)
            move(self.path, self.target)
            self._published = True
            sync(self.target.parent)
            shutil.rmtree(self.path, ignore_errors=True)  # after an exchange: the old directory

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Keep or remove what was not published; name the cause when a write failed."""
        self._leave(keep=self._keep and not self.abandoned)
        if isinstance(error, OSError) and error.errno in _WRITE_ERRNOS:
            raise storage_error(error, "write", self.path) from error

    def _take_lock(self) -> None:
        self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            self._lock = None
            raise StorageError(
                f"another process is writing {self.path}",
                hint="wait for it, or name another folder",
            ) from error
        except OSError:
            pass  # a file system without locks: as safe as before

    def _leave(self, *, keep: bool) -> None:
        if self._lock is None:
            return
        os.close(self._lock)
        self._lock = None
        if self._published:
            return
        with contextlib.suppress(OSError):
            written = {entry.name for entry in self.path.iterdir()} - {STATE, STATE + ".new"}
            if not keep or not written:
                shutil.rmtree(self.path, ignore_errors=True)


def check_target(
    path: Path,
    *,
    force: bool = False,
    resume: bool = False,
    resumable: bool = True,
    document: str = MANIFEST,
) -> None:
    """Refuse a name that is taken unless an option says what to do. Writes nothing.

    Raises:
        ConfigError: a finished directory without `force`, an unfinished one without `force` or
            `resume`, a file, or with `force` a directory that engramctl did not write.
    """
    target = _resolved(path)
    partial = partial_path(target)
    if not target.name or target.name.endswith(SUFFIX):
        raise ConfigError(f"{path} cannot be an output folder", hint="name another with -o")
    if target.exists() and not target.is_dir():
        raise ConfigError(f"{path} is a file", hint="name a folder with -o")
    if target.is_dir() and any(target.iterdir()):
        if not force:
            raise ConfigError(
                f"{path} exists already",
                hint="add --force to replace it, or name another folder with -o",
            )
        if not _is_ours(target, document):
            raise ConfigError(
                f"{path} was not written by engramctl and is not replaced",
                hint="name another folder with -o, or remove this one yourself",
            )
    if partial.exists() and not (force or resume):
        raise ConfigError(
            f"{path} is unfinished: an earlier run left {partial.name}",
            facts={"found": partial},
            hint=("add --resume to continue it, or " if resumable else "add ")
            + "--force to start over",
        )


def _resolved(path: Path) -> Path:
    with os_errors("open", path):
        try:
            return path.resolve()
        except RuntimeError as error:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from error


def _is_ours(folder: Path, document: str) -> bool:
    try:
        if document == MANIFEST:
            schema = read_manifest(folder).get("schema")
        else:
            schema = load_json(read_limited(folder / document))["schema"]
    except (EngramError, OSError, ValueError, LookupError, TypeError):
        return False
    return isinstance(schema, str) and schema.startswith("engramctl.")


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()
