"""Going through the folders that a pattern means, on any system that can list them."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Protocol

from engramctl.errors import CorpusError
from engramctl.sources.file import SourceFile
from engramctl.sources.rule import (
    ANY_DEPTH,
    FOLDER,
    MARKS,
    OURS,
    Pattern,
    is_parquet,
    is_pattern,
    join,
    part_matches,
    reason_to_leave_out,
)


class Kind(Enum):
    """What a name stands for."""

    FILE = auto()
    FOLDER = auto()
    DANGLING = auto()  # a link to nothing: it may have been either
    OTHER = auto()  # a pipe, a device


@dataclass(frozen=True)
class Entry:
    """A name in a folder.

    Attributes:
        path: with the folder, as the system takes it.
        kind: what it stands for.
        real: the same for all paths to one thing.
        reason: why it cannot be read, where that is known.
    """

    path: str
    kind: Kind
    real: str
    reason: str = ""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]


class Tree(Protocol):
    """A system of folders; every question may raise a CorpusError."""

    def entry(self, path: str) -> Entry | None:
        """Look a path up; None when there is nothing."""

    def entries(self, folder: Entry) -> list[Entry]:
        """List a folder."""

    def file(self, path: str) -> SourceFile:
        """Return what opens a path."""

    def is_our_mark(self, mark: Entry) -> bool:
        """Whether a file, called as one of `rule.MARKS`, is engramctl's."""


@dataclass
class Walked:
    """What was found.

    Attributes:
        files: to be read, by real name.
        bad: what cannot be read or listed, and why.
        left_out: why a Parquet file is not read, by real name.
    """

    files: dict[str, Entry] = field(default_factory=dict)
    bad: list[tuple[Entry, CorpusError]] = field(default_factory=list)
    left_out: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Visit:
    """A folder, the patterns for what is in it, and why all of that is left out, if it is."""

    folder: Entry
    patterns: frozenset[Pattern]
    reason: str | None


def walk(tree: Tree, root: Entry, pattern: Pattern) -> Walked:
    """Find what a pattern matches below a folder; each folder is listed once for it.

    Shallow folders come first: of two ways to a file the shorter gives its path.
    """
    return _Walk(tree).run(root, pattern)


class _Walk:
    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._found = Walked()
        self._waiting: deque[_Visit] = deque()
        self._seen: set[tuple[str, frozenset[Pattern], bool]] = set()

    def run(self, root: Entry, pattern: Pattern) -> Walked:
        self._plan(root, [pattern], None)
        while self._waiting:
            visit = self._waiting.popleft()
            try:
                self._look(visit)
            except CorpusError as error:
                if visit.reason is None:
                    self._found.bad.append((visit.folder, error))
        return self._found

    def _plan(self, folder: Entry, patterns: Iterable[Pattern], reason: str | None) -> None:
        visit = _Visit(folder, frozenset(patterns), reason)
        key = (folder.real, visit.patterns, reason is None)  # links that lead in a circle end here
        if visit.patterns and key not in self._seen:
            self._seen.add(key)
            self._waiting.append(visit)

    def _look(self, visit: _Visit) -> None:
        tree, folder = self._tree, visit.folder
        patterns = sorted({rest for pattern in visit.patterns for rest in _depths(pattern)})
        spelled = [pattern for pattern in patterns if not is_pattern(pattern[0])]
        found = [pattern for pattern in patterns if is_pattern(pattern[0])]
        entries = sorted(tree.entries(folder), key=lambda e: e.name) if found else []
        marks = (
            [entry for entry in entries if entry.name in MARKS]
            if found
            else [tree.entry(join(folder.path, name)) for name in MARKS]
        )
        reason = visit.reason
        if reason is None and any(
            mark is not None and mark.kind is Kind.FILE and tree.is_our_mark(mark) for mark in marks
        ):
            reason = OURS
        for pattern in spelled:
            entry = tree.entry(join(folder.path, pattern[0]))
            if entry is not None:
                self._take(entry, [pattern], reason)
        for entry in entries:
            matched = [pattern for pattern in found if part_matches(pattern[0], entry.name)]
            for why, some in _by_reason(entry, matched, reason):
                self._take(entry, some, why)

    def _take(self, entry: Entry, patterns: list[Pattern], reason: str | None) -> None:
        """Follow the patterns whose first part an entry matches."""
        is_whole = any(len(pattern) == 1 for pattern in patterns)
        if entry.kind is Kind.FOLDER:
            deeper = [p if p[0] == ANY_DEPTH else p[1:] or FOLDER for p in patterns]
            self._plan(entry, deeper, reason)
        elif reason is not None:
            if is_whole and is_parquet(entry.name):
                self._found.left_out.setdefault(entry.real, reason)
        elif entry.kind is Kind.DANGLING or (is_whole and entry.kind is Kind.OTHER):
            self._found.bad.append((entry, unreadable(self._tree, entry)))
        elif is_whole:
            self._found.files.setdefault(entry.real, entry)


def unreadable(tree: Tree, entry: Entry) -> CorpusError:
    """Return the error about a name that is neither a file nor a folder."""
    what = "leads to nothing" if entry.kind is Kind.DANGLING else "is not a file"
    return CorpusError(
        f"{tree.file(entry.path)} {what}",
        facts={"found": entry.reason},
        hint="remove it or mend it, or let mine leave such files out with --skip-bad-files",
    )


def _depths(pattern: Pattern) -> Iterator[Pattern]:
    """Give a pattern, and what it is where `**` stands for no folder."""
    yield pattern
    while pattern[0] == ANY_DEPTH:
        pattern = pattern[1:]
        yield pattern


def _by_reason(
    entry: Entry, patterns: list[Pattern], reason: str | None
) -> Iterator[tuple[str | None, list[Pattern]]]:
    """Part the patterns that matched a name by why it is left out, read ones first."""
    is_folder = entry.kind is Kind.FOLDER
    parted: dict[str | None, list[Pattern]] = {None: []}
    for pattern in patterns:
        why = reason or reason_to_leave_out(pattern[0], entry.name, is_folder=is_folder)
        parted.setdefault(why, []).append(pattern)
    return ((why, some) for why, some in parted.items() if some)
