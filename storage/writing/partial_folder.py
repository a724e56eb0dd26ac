"""Directories that are whole or are called `NAME.partial`: there is no third state.

Work happens in the sibling `NAME.partial/`; its `state.json` says which command writes it and how
far it is. When all is written, `manifest.json` comes last, everything is synced, and one rename
makes it `NAME`. `--force` exchanges it with the old directory in one system call, so that a
failure at any moment leaves the old one or the new one.

What a kill may leave beside that is told apart by the next run: an empty `NAME.partial`; in `NAME`
a `state.json`, and then perhaps the old directory, which that state names, as `NAME.partial` or,
where names cannot be exchanged, as `NAME.old`.
"""

import contextlib
import errno
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from engramctl.errors import StorageError
from engramctl.storage.files.atomic import (
    make_folders,
    move,
    old_path,
    os_errors,
    storage_error,
    sync,
    sync_tree,
    write_json,
)
from engramctl.storage.files.held_folder import HeldFolder, shown
from engramctl.storage.files.published import STATE, partial_path
from engramctl.storage.writing.ownership import (
    REPLACES,
    STATE_SCHEMA,
    Maker,
    check_replaceable,
    check_target,
    open_partial,
    owned_state,
    replaced_by,
    resolved,
)

_WRITE_ERRNOS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG}
_DOUBT = "suspect"  # key of a state: a sync failed, so what was synced is to be looked at again
MOST_TRIES = 100
_OWN_KEYS = {"schema", "command", "resumable", REPLACES, _DOUBT}


class PartialDirectory:
    """A directory in the making, as a context manager.

        with PartialDirectory(target, maker, force=force, resume=resume) as work:
            ... write files into work.path, work.save_state({...}) now and then ...
            work.publish(manifest, names)

    Leaving without `publish` keeps the partial directory for `--resume`, or removes it when its
    maker cannot resume or nothing was written or saved. OSErrors of writing (disk full, read-only)
    leave as StorageError. Not for several threads; a lock keeps a second process out.
    """

    def __init__(
        self, path: Path, maker: Maker, *, force: bool = False, resume: bool = False
    ) -> None:
        """Look, but write nothing: that begins with `with`.

        Args:
            path: the final directory.
            maker: the command that makes it.
            force: replace a finished directory, and begin an unfinished one anew.
            resume: continue an unfinished directory; begins when there is none.

        Raises:
            ConfigError: the name is taken, and neither option says what to do about it.
        """
        check_target(path, maker, force=force, resume=resume)
        self.target = resolved(path)
        self.path = partial_path(self.target)
        self.state: dict[str, Any] | None = None
        self.suspect = False
        self.abandoned = False
        self._shown = path
        self._maker = maker
        self._force = force
        self._resume = resume
        self._saved: Mapping[str, Any] = {}
        self._replaces: str | None = None
        self._folder: HeldFolder | None = None
        self._published = False

    def __enter__(self) -> Self:
        """Make the partial directory, or take up the one that is there."""
        with os_errors("make", self.path):
            make_folders(self.target.parent)
            with contextlib.ExitStack() as stack:
                self._folder = stack.enter_context(_claim(self.path))
                stack.callback(self._remove_if_empty)
                self._begin(owned_state(self._folder, self._maker, self.target))
                stack.pop_all()
        return self

    def _begin(self, state: dict[str, Any]) -> None:
        """Continue from a state, or empty the folder; `state.json` is there first and last."""
        self._settle(state.get(REPLACES))
        if self._resume and state.keys() - _OWN_KEYS:
            self.state = state
            self.suspect = state.get(_DOUBT) is True
            self._saved = {name: state[name] for name in state.keys() - _OWN_KEYS}
            self._replaces = state.get(REPLACES)
            return
        self.save_state({})
        self.folder.remove(self._maker.names, STATE, keep_mark=True)

    @property
    def folder(self) -> HeldFolder:
        """The open partial directory."""
        assert self._folder is not None
        return self._folder

    def save_state(self, state: Mapping[str, Any]) -> None:
        """Replace `state.json` in one step and for good. On resume `state` has what it was.

        Args:
            state: JSON; none of it means that nothing can be continued.
        """
        self._write_state(state)

    def doubt(self) -> None:
        """Note that a sync failed: on resume `suspect` asks to look at what was saved before.

        The system tells such a failure once, drops what it could not write and goes on; what was
        written since the last good sync may be lost, whatever a later sync says.
        """
        with contextlib.suppress(OSError):
            self._write_state(self._saved, {_DOUBT: True})

    def _write_state(self, state: Mapping[str, Any], more: Mapping[str, Any] | None = None) -> None:
        own: dict[str, Any] = {"schema": STATE_SCHEMA, "command": self._maker.command}
        own |= {"resumable": self._maker.resumable, **(more or {})}
        if self._replaces is not None:
            own[REPLACES] = self._replaces
        write_json(self.path / STATE, own | dict(state))
        self.folder.sync()
        self._saved = state

    def abandon(self) -> None:
        """Remove the work when it is left, whatever was written: nothing can continue it."""
        self.abandoned = True

    def publish(self, manifest: Mapping[str, Any], names: Iterable[str]) -> None:
        """Write the manifest, sync everything and give the directory its final name.

        Args:
            manifest: the document that comes last.
            names: of all files but that, as `file` or `folder/file`.

        Raises:
            ConfigError: somebody put files of his own into it, or into the old directory.
            StorageError: a write failed; the old directory, if any, is untouched.
        """
        with os_errors("publish", self._shown), contextlib.ExitStack() as stack:
            self._check_files(set(names))
            old = self._old_folder(stack)
            write_json(self.path / self._maker.document, manifest)
            if old is not None:
                self._replaces = self._maker.digest(old)
                self._write_state(self._saved)
            try:
                sync_tree(self.path)
            except OSError:
                self.doubt()
                raise
            place = move(self.path, self.target, replace=old is not None)
            self._published = True
            sync(self.target.parent)
            with contextlib.suppress(OSError):  # it is published; the next run tidies up
                if old is None or place is None or self._discard(old, place):
                    self.folder.discard(STATE)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Keep or remove what was not published; name the cause when a write failed."""
        self._leave(keep=self._maker.resumable and not self.abandoned)
        if isinstance(error, OSError) and error.errno in _WRITE_ERRNOS:
            raise storage_error(error, "write", self.path) from error

    def _check_files(self, names: set[str]) -> None:
        """Let nothing be published but the files that are named, and all of them."""
        expected = names | {STATE} | {name.partition("/")[0] + "/" for name in names if "/" in name}
        owned_state(self.folder, self._maker, self.target)
        found = set(self.folder.names())
        missing = sorted(expected - found)
        if missing:
            raise StorageError(
                f"{self.path} lacks files that were written",
                facts={"missing": shown(missing)},
                hint=f"run engramctl {self._maker.command} again with --force",
            )
        for name in sorted(found - expected, reverse=True):  # of ours, as the check above says
            self.folder.discard(name)

    def _old_folder(self, stack: contextlib.ExitStack) -> HeldFolder | None:
        """Return the directory to be replaced, locked until the stack ends; None: there is none."""
        try:
            old = stack.enter_context(HeldFolder(self.target))
        except FileNotFoundError:
            return None
        if not old.names():
            return None
        digest = self._maker.digest(old)
        if not self._force and (digest is None or digest != self._replaces):
            raise StorageError(
                f"{self.target} was made while this run worked on it",
                hint="add --resume --force to replace it, or move it elsewhere and add --resume",
            )
        check_replaceable(old, self._maker)
        old.lock()
        return old

    def _settle(self, replaces: object) -> None:
        """Put back, or away, an old directory that a killed run left as `NAME.old`."""
        place = old_path(self.target)
        there = os.path.lexists(self.target)
        mark = replaced_by(self.target, self._maker) if there else replaces
        if mark is None or not os.path.lexists(place):
            return
        with HeldFolder(place) as old:
            if there and (self._maker.digest(old) == mark or not old.names()):
                self._discard(old, place)
            elif self._maker.digest(old) == mark:
                os.rename(place, self.target)
                sync(self.target.parent)

    def _discard(self, old: HeldFolder, place: Path) -> bool:
        """Remove an old directory, found at `place`, for good; whether nothing of it is left."""
        old.remove(self._maker.names, self._maker.document)
        if old.names():
            return False
        if old.is_at(place):
            os.rmdir(place)
            sync(place.parent)
        return True

    def _leave(self, *, keep: bool) -> None:
        if self._folder is None:
            return
        with contextlib.suppress(OSError):
            nothing = not self._saved and self.folder.names() == [STATE]
            if not self._published and (nothing or not keep):
                self.folder.remove(self._maker.names, STATE)
            self._remove_if_empty()
        self._folder.close()
        self._folder = None

    def _remove_if_empty(self) -> None:
        with contextlib.suppress(OSError):
            if self.folder.is_at(self.path) and not self.folder.names():
                os.rmdir(self.path)


def _claim(path: Path) -> HeldFolder:
    """Make a directory, or open the one that is there, and lock it."""
    for _ in range(MOST_TRIES):
        with contextlib.suppress(FileExistsError):
            os.mkdir(path)
            sync(path.parent)
        try:
            folder = open_partial(path)
        except FileNotFoundError:
            continue  # another run has just removed it
        try:
            folder.lock()
        except StorageError:
            folder.close()
            raise
        if folder.is_at(path):
            return folder
        folder.close()  # another run has just published or removed it
    raise StorageError(f"{path} is not the folder that was opened under that name")
