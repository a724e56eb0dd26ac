"""What a crash may leave of a moment: every file and name that no sync has made durable, or not.

The rules are those of POSIX, not of one file system. A file's data is durable when a sync of the
file succeeded after it was written; a name is durable when its folder was synced after it was made,
changed or removed. What is not durable may be there after a crash or not: names in any choice of
the calls (a rename is one call: whole or not at all), data as it was, as it is, as zeros, torn, or
of some pages only. A killed process, with no loss of power, leaves all that is there.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

Tree = dict[str, bytes | None]  # path -> content, None for a folder
Names = dict[tuple[int, str], int]  # (folder, name) -> file or folder
ROOT = 0
MOST_PENDING = 10
PAGE = 4096


@dataclass(frozen=True)
class Change:
    """What one call did to names: all of it is durable, or nothing."""

    names: dict[tuple[int, str], int | None]

    @property
    def folders(self) -> set[int]:
        return {folder for folder, _ in self.names}

    def apply(self, names: Names) -> None:
        for place, number in self.names.items():
            if number is None:
                names.pop(place, None)
            else:
                names[place] = number


@dataclass(frozen=True)
class Moment:
    """The disk before a call: what is durable, and what may be.

    Attributes:
        durable: names.
        pending: changes of names, in their order, that no sync has made durable.
        synced: each file's durable data.
        written: each file's data as a reader finds it now.
        folders: those of the numbers that are folders.
        finished: whether the program had said that it is done.
    """

    durable: Names
    pending: tuple[Change, ...]
    synced: dict[int, bytes]
    written: dict[int, bytes]
    folders: frozenset[int]
    finished: bool

    def trees(self, *, all_choices: bool = False) -> Iterator[Tree]:
        """Give the states that a crash may leave, or enough of them; some more than once."""
        for changes in (_all_choices if all_choices else _choices)(self.pending):
            names = dict(self.durable)
            for change in changes:
                change.apply(names)
            for data in DATA:
                yield self._tree(names, data)
            for number in self.written:
                if self.written[number] != self.synced.get(number):
                    yield self._tree(names, _as_it_is, frozenset([number]))

    def _tree(
        self,
        names: Names,
        data: Callable[[bytes, bytes], bytes],
        lost: frozenset[int] = frozenset(),
    ) -> Tree:
        """Draw the tree of names; `data` makes a file's content of what was and what is."""
        tree: Tree = {}
        waiting = [(ROOT, "")]
        while waiting:
            folder, before = waiting.pop()
            for (place, name), number in names.items():
                if place != folder:
                    continue
                if number in self.folders:
                    tree[before + name] = None
                    waiting.append((number, f"{before}{name}/"))
                else:
                    was, now = self.synced.get(number, b""), self.written[number]
                    tree[before + name] = was if number in lost else data(was, now)
        return tree


def materialise(tree: Tree, folder: Path) -> None:
    """Make a tree of files."""
    folder.mkdir()
    for name in sorted(tree):
        content = tree[name]
        if content is None:
            (folder / name).mkdir()
        else:
            (folder / name).write_bytes(content)


def _choices(changes: tuple[Change, ...]) -> Iterator[tuple[Change, ...]]:
    """Give none, all, those up to each, each alone, and all but each."""
    yield ()
    for number in range(len(changes)):
        yield changes[: number + 1]
        yield (changes[number],)
        yield changes[:number] + changes[number + 1 :]


def _all_choices(changes: tuple[Change, ...]) -> Iterator[tuple[Change, ...]]:
    if len(changes) > MOST_PENDING:
        yield from _choices(changes)
        return
    for bits in range(1 << len(changes)):
        yield tuple(change for number, change in enumerate(changes) if bits >> number & 1)


def _as_it_is(was: bytes, now: bytes) -> bytes:
    return now


def _as_it_was(was: bytes, now: bytes) -> bytes:
    return was


def zeros(was: bytes, now: bytes) -> bytes:
    """The new length, and of the data what was durable."""
    return was[: len(now)].ljust(len(now), b"\0")


def _torn(was: bytes, now: bytes) -> bytes:
    """The first half is written, the rest is as it was."""
    half = len(now) // 2
    return now[:half] + was[half:] if was != now else now


def _even_pages(was: bytes, now: bytes) -> bytes:
    """Every other page is written."""
    mixed, old = bytearray(now), zeros(was, now)
    for start in range(PAGE, len(now), 2 * PAGE):
        mixed[start : start + PAGE] = old[start : start + PAGE]
    return bytes(mixed)


def _odd_pages(was: bytes, now: bytes) -> bytes:
    """The other ones are."""
    return _even_pages(now, zeros(was, now))


DATA = (_as_it_is, _as_it_was, zeros, _torn, _even_pages, _odd_pages)
