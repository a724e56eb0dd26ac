"""A file system that loses power: it records a run, and gives the states a crash may leave.

    with Recorder(folder) as recorder:
        ... a program writes below folder, which is a real one ...
    for finished, tree in recorder.states(): ...

`fail(...)` makes one call fail. A sync that fails does it once, and what it could not write is
dropped: the file reads as it was at its last good sync from then on (ext4, XFS and Btrfs do so,
sooner or later).
"""

import os
import threading
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self
from unittest import mock

from engramctl.storage.files import atomic
from tests.storage.writing.crash_states import ROOT, Change, Moment, Names, Tree, zeros

WRITES = ("open", "write", "pwrite", "ftruncate", "mkdir", "rename", "replace", "exchange")
SYNCS = ("fsync", "fdatasync")
REMOVALS = ("unlink", "remove", "rmdir")


@dataclass
class Recorder:
    """Records what is done below `root`; a context manager that stands in for calls of `os`."""

    root: Path
    moments: list[Moment] = field(default_factory=list)
    calls: list[str] = field(default_factory=list)
    finished: bool = False
    _fault: tuple[tuple[str, ...], int, int] | None = None
    _numbers: dict[tuple[int, int], int] = field(default_factory=dict)
    _next: int = 1

    def __post_init__(self) -> None:
        self._lock = threading.RLock()
        self._real = {name: getattr(os, name) for name in (*WRITES[:-1], *SYNCS, *REMOVALS)}
        self._real["exchange"] = atomic.exchange_names
        self._names: Names = {}
        self._durable: Names = {}
        self._pending: list[Change] = []
        self._written: dict[int, bytes] = {}
        self._folders = {ROOT}
        self._observe()
        self._durable, self._pending = dict(self._names), []
        self._synced = dict(self._written)

    def fail(self, calls: tuple[str, ...], number: int, code: int) -> None:
        """Let the call `number` (from 0) of these fail."""
        self._fault = (calls, number, code)

    @property
    def failed(self) -> bool:
        """Whether the fault came."""
        return self._fault is not None and self._fault[1] < 0

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for name in self._real:
                place, attribute = (atomic, "exchange_names") if name == "exchange" else (os, name)
                stack.enter_context(mock.patch.object(place, attribute, self._stand_in(name)))
            self._patches = stack.pop_all()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self._patches.close()
        self._observe()
        self.finished = kind is None
        self._remember()

    def _stand_in(self, name: str) -> Callable[..., Any]:
        def call(first: Any, *others: Any, **named: Any) -> Any:
            reads = name == "open" and not others[0] & (os.O_CREAT | os.O_TRUNC)
            if reads or not self._is_below(first, named):
                return self._real[name](first, *others, **named)
            with self._lock:
                self._observe()
                self._remember()
                self.calls.append(name)
                self._meet_fault(name, first)
                result = self._real[name](first, *others, **named)
                if name in SYNCS:
                    self._make_durable(self._number_of(first))
                self._observe()
                return result

        return call

    def _is_below(self, first: Any, named: dict[str, Any]) -> bool:
        if isinstance(first, int):
            about = os.fstat(first)
            return (about.st_dev, about.st_ino) in self._numbers
        return "dir_fd" in named or os.fspath(first).startswith(str(self.root))

    def _number_of(self, descriptor: int) -> int:
        about = os.fstat(descriptor)
        return self._numbers[about.st_dev, about.st_ino]

    def _meet_fault(self, name: str, first: Any) -> None:
        if self._fault is None or name not in self._fault[0]:
            return
        calls, left, code = self._fault
        self._fault = (calls, left - 1, code)
        if left:
            return
        if name in SYNCS and (number := self._number_of(first)) in self._written:
            was, now = self._synced.get(number, b""), self._written[number]
            path = f"/proc/self/fd/{first}"
            descriptor = self._real["open"](path, os.O_WRONLY)
            self._real["pwrite"](descriptor, zeros(was, now), 0)
            os.close(descriptor)
        raise OSError(code, os.strerror(code))

    def _make_durable(self, number: int) -> None:
        if number not in self._folders:
            self._synced[number] = self._written[number]
            return
        kept = []
        for change in self._pending:
            if change.folders == {number}:
                change.apply(self._durable)
            else:
                kept.append(change)
        self._pending = kept

    def _observe(self) -> None:
        """See what is there, written by whatever code, and note how the names changed."""
        about = os.stat(self.root)
        seen = {(about.st_dev, about.st_ino): ROOT}
        names: Names = {}
        waiting = [(ROOT, str(self.root))]
        while waiting:
            folder, path = waiting.pop()
            with os.scandir(path) as entries:
                for entry in entries:
                    about = entry.stat(follow_symlinks=False)
                    key = (about.st_dev, about.st_ino)
                    number = self._numbers.get(key)
                    if number is None:
                        number, self._next = self._next, self._next + 1
                    seen[key] = names[folder, entry.name] = number
                    if entry.is_dir(follow_symlinks=False):
                        self._folders.add(number)
                        waiting.append((number, entry.path))
                    else:
                        with open(entry.path, "rb") as file:
                            content = file.read()
                        if self._written.get(number) != content:
                            self._written[number] = content
        self._numbers = seen
        changed = {
            place: names.get(place)
            for place in self._names.keys() | names.keys()
            if self._names.get(place) != names.get(place)
        }
        if changed:
            self._pending.append(Change(changed))
        self._names = names

    def _remember(self) -> None:
        self.moments.append(
            Moment(
                dict(self._durable),
                tuple(self._pending),
                dict(self._synced),
                dict(self._written),
                frozenset(self._folders),
                self.finished,
            )
        )

    def states(self, *, all_choices: bool = False) -> list[tuple[bool, Tree]]:
        """Return the states, each once, with whether the program had said that it is done.

        `all_choices` takes every choice of names of up to ten that are pending.
        """
        found: dict[tuple[bool, frozenset[tuple[str, bytes | None]]], Tree] = {}
        for moment in self.moments:
            for tree in moment.trees(all_choices=all_choices):
                found.setdefault((moment.finished, frozenset(tree.items())), tree)
        return [(finished, tree) for (finished, _), tree in found.items()]
