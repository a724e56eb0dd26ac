"""Whose is it? Which folders a command may replace, continue or empty, and which are a stranger's.

A finished folder is ours when its document says so; one called `NAME.partial` when its `state.json`
does, and names the command that asks. Every file in either must have a name that the command gives
to files; so nothing is ever replaced, removed or published that somebody else put there.
"""

import errno
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import xxhash

from engramctl.errors import ConfigError
from engramctl.storage.files.atomic import NEW_NAME, os_errors
from engramctl.storage.files.held_folder import HeldFolder, shown
from engramctl.storage.files.published import MANIFEST, RECORD, STATE, SUFFIX, partial_path
from engramctl.storage.files.strict_json import load_json

STATE_SCHEMA = "engramctl.state/1"
REPLACES = "replaces"  # key of a state: digest of the document of the folder that is replaced


@dataclass(frozen=True)
class Maker:
    """A command that makes folders.

    Attributes:
        command: its name.
        files: a regular expression of the names it gives to files; of a folder in the folder,
            which may hold files alone, `name/`.
        document: the JSON file that comes last and says what the folder is.
        resumable: whether it can continue an unfinished folder.
    """

    command: str
    files: str
    document: str = MANIFEST
    resumable: bool = True

    @cached_property
    def names(self) -> re.Pattern[str]:
        """All names in a folder of this command, finished or not."""
        own = (*map(re.escape, (STATE, RECORD, self.document)), NEW_NAME, self.files)
        return re.compile("|".join(f"(?:{one})" for one in own))

    def state(self, content: bytes | None) -> dict[str, Any] | None:
        """Return what a `state.json` says, None when it is not one of ours."""
        try:
            state = load_json(content or b"")
        except ValueError:
            return None
        ours = isinstance(state, dict) and state.get("schema") == STATE_SCHEMA
        return state if ours else None

    def is_finished(self, folder: HeldFolder) -> bool:
        """Say whether a folder's document is one of ours."""
        try:
            schema = load_json(folder.read(self.document) or b"")["schema"]
        except (ValueError, LookupError, TypeError):
            return False
        return isinstance(schema, str) and schema.startswith("engramctl.")

    def digest(self, folder: HeldFolder) -> str | None:
        """Return what identifies a finished folder: the digest of its document."""
        document = folder.read(self.document)
        return None if document is None else xxhash.xxh3_128_hexdigest(document)


def resolved(path: Path) -> Path:
    """Return the folder that a name given by a user means.

    Raises:
        ConfigError: no folder of ours can be called so.
        StorageError: the path cannot be followed.
    """
    with os_errors("open", path):
        try:
            target = path.resolve()
        except RuntimeError as error:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from error
    if not target.name or target.name.endswith(SUFFIX):
        raise ConfigError(f"{path} cannot be an output folder", hint="name another with -o")
    return target


def check_target(path: Path, maker: Maker, *, force: bool = False, resume: bool = False) -> None:
    """Refuse a name that is taken unless an option says what to do. Writes nothing.

    Args:
        path: the folder to be.
        maker: the command that asks.
        force: replace a finished folder, and begin an unfinished one anew.
        resume: continue an unfinished one.

    Raises:
        ConfigError: a finished folder without `force`, an unfinished one without `force` or
            `resume`, a file, or a folder that this command did not write.
        StorageError: the path cannot be looked at.
    """
    target = resolved(path)
    with os_errors("open", path):
        if target.exists() and not target.is_dir():
            raise ConfigError(f"{path} is a file", hint="name a folder with -o")
        if target.is_dir() and any(target.iterdir()):
            if not force:
                raise ConfigError(
                    f"{path} exists already",
                    hint="add --force to replace it, or name another folder with -o",
                )
            with HeldFolder(target) as finished:
                check_replaceable(finished, maker)
    if not force:
        check_unfinished(path, maker, resume=resume)
    else:
        _unfinished_state(path, maker)


def check_unfinished(path: Path, maker: Maker, *, resume: bool = False) -> None:
    """Refuse a name under which an earlier run stopped half way, unless it is to be continued.

    Raises:
        ConfigError: so it is, or the unfinished folder is not of this command.
        StorageError: the path cannot be looked at.
    """
    state = _unfinished_state(path, maker)
    if state and not resume:
        partial = partial_path(resolved(path))
        raise ConfigError(
            f"{path} is unfinished: an earlier run left {partial.name}",
            facts={"found": partial},
            hint=("add --resume to continue it, or " if maker.resumable else "add ")
            + "--force to start over",
        )


def _unfinished_state(path: Path, maker: Maker) -> dict[str, Any]:
    """Return what an unfinished folder's state says, {} where there is none."""
    target = resolved(path)
    with os_errors("open", path):
        try:
            folder = open_partial(partial_path(target))
        except FileNotFoundError:
            return {}
        with folder:
            return owned_state(folder, maker, target)


def check_replaceable(folder: HeldFolder, maker: Maker) -> None:
    """Refuse to replace a finished folder that is not of this command, or holds other files.

    Raises:
        ConfigError: so it is.
    """
    if not maker.is_finished(folder):
        raise ConfigError(
            f"{folder.path} was not written by engramctl and is not replaced",
            hint="name another folder with -o, or remove this one yourself",
        )
    _refuse_foreign(folder, maker)


def open_partial(partial: Path) -> HeldFolder:
    """Open what is called `NAME.partial`.

    Raises:
        ConfigError: it is no folder, or a link: that is never followed.
        OSError: it is not there, or is shut.
    """
    try:
        return HeldFolder(partial)
    except OSError as error:
        if error.errno not in (errno.ENOTDIR, errno.ELOOP) or not os.path.lexists(partial):
            raise
        raise _not_ours(partial, "a link" if partial.is_symlink() else "a file") from error


def owned_state(folder: HeldFolder, maker: Maker, target: Path) -> dict[str, Any]:
    """Return the state of a folder called `NAME.partial`, {} when nothing in it is worth a word.

    That is an empty one, one whose first state was not yet there, or an old folder that a finished
    run replaced and could not remove.

    Raises:
        ConfigError: it is not of this command, or holds files that are not.
    """
    names = folder.names()
    if all(re.fullmatch(NEW_NAME, name) and f".{STATE}." in name for name in names):
        return {}
    state = maker.state(folder.read(STATE))
    if state is None:
        if not _is_replaced(folder, maker, target):
            raise _not_ours(folder.path, f"no {STATE} of ours, but {shown(names)}")
        state = {}
    elif state.get("command") != maker.command:
        other = state.get("command")
        raise ConfigError(
            f"{folder.path} is the unfinished work of another command",
            facts={"expected": maker.command, "found": ascii(other)[1:-1][:40]},
            hint="finish that first, name another folder with -o, or remove it yourself",
        )
    _refuse_foreign(folder, maker)
    return state


def replaced_by(folder: Path, maker: Maker) -> str | None:
    """Return which old folder, by its digest, the state in a folder says it takes the place of."""
    try:
        with HeldFolder(folder) as held:
            state: Mapping[str, Any] = maker.state(held.read(STATE)) or {}
    except OSError:
        return None
    return state.get(REPLACES) if state.get("command") == maker.command else None


def _is_replaced(folder: HeldFolder, maker: Maker, target: Path) -> bool:
    """Say whether a run that published `target` by an exchange left this old folder."""
    digest = maker.digest(folder)
    return digest is not None and digest == replaced_by(target, maker)


def _refuse_foreign(folder: HeldFolder, maker: Maker) -> None:
    foreign = folder.foreign(maker.names)
    if foreign:
        raise ConfigError(
            f"{folder.path} holds what engramctl {maker.command} did not write",
            facts={"found": shown(foreign)},
            hint="move it elsewhere, or name another folder with -o",
        )


def _not_ours(partial: Path, found: str) -> ConfigError:
    return ConfigError(
        f"{partial} was not made by this engramctl and is left alone",
        facts={"expected": f"a folder with {STATE}, schema {STATE_SCHEMA}", "found": found},
        hint="the work needs that name: move it elsewhere, or name another folder with -o",
    )
