"""Names of corpora -> files, in the order of the names."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from engramctl.errors import CorpusError
from engramctl.sources.file import SourceFile, printable
from engramctl.sources.local import LocalTree
from engramctl.sources.remote import RemoteTree
from engramctl.sources.rule import FOLDER, is_pattern, split_pattern
from engramctl.sources.walk import Entry, Kind, Tree, Walked, unreadable, walk
from engramctl.storage.kinds.recognise import recognise

_HINT = "name Parquet files, folders with *.parquet files, or quoted glob patterns"


@dataclass(frozen=True)
class Found:
    """What the names of a corpus mean.

    Attributes:
        files: in the order of the names, each once; those of one name sorted by folder and name.
        bad: links to nothing and folders that may not be listed, each with the error about it.
        left_out: one line that says how many Parquet files are not read and why; "" when none.
    """

    files: tuple[SourceFile, ...]
    bad: tuple[tuple[SourceFile, CorpusError], ...] = ()
    left_out: str = ""


def find_files(names: Iterable[str | Path], *, skip_bad_files: bool = False) -> Found:
    """Return the files that names mean, by `engramctl.sources.rule`.

    Args:
        names: files, folders and patterns, local or of any system that fsspec knows.
        skip_bad_files: go on where a link leads to nothing or a folder may not be listed.

    Raises:
        CorpusError: a name that matches nothing, something bad without `skip_bad_files`, or a
            system that cannot be asked.
        ConfigError: a scheme whose library is missing.
    """
    files: dict[str, SourceFile] = {}
    bad: dict[str, tuple[SourceFile, CorpusError]] = {}
    left_out: dict[str, str] = {}
    for name in map(str, names):
        tree, path = _system(name)
        walked = _walked(tree, path)
        if walked is None or not (walked.files or walked.bad):
            raise _nothing(name, walked)
        if walked.bad and not skip_bad_files:
            raise walked.bad[0][1]
        for entry, error in walked.bad:
            bad.setdefault(entry.real, (tree.file(entry.path), error))
        for entry in sorted(walked.files.values(), key=lambda entry: entry.path.split("/")):
            files.setdefault(entry.real, tree.file(entry.path))
        left_out |= walked.left_out
    unread = {real: reason for real, reason in left_out.items() if real not in files}
    return Found(tuple(files.values()), tuple(bad.values()), _told(unread))


def _system(name: str) -> tuple[Tree, str]:
    """Return the system of a name, and the name there."""
    plain = name.removeprefix("file://")
    if not plain:
        raise CorpusError("the name of a corpus is empty", hint=_HINT)
    if "://" in plain:
        remote = RemoteTree(name)
        return remote, remote.path
    path = str(Path(plain))
    return LocalTree(), "" if path == "." else path


def _walked(tree: Tree, path: str) -> Walked | None:
    """Return what a path means by the rule; None when nothing is there."""
    try:
        entry = tree.entry(path)
    except CorpusError as error:
        return Walked(bad=[(Entry(path, Kind.OTHER, path), error)])
    if entry is not None:
        if entry.kind is Kind.FOLDER:
            return walk(tree, entry, FOLDER)
        if entry.kind is Kind.FILE:
            return Walked(files={entry.real: entry})
        return Walked(bad=[(entry, unreadable(tree, entry))])
    if not is_pattern(path):
        return None
    root, pattern = split_pattern(path, lambda folder: _folder(tree, folder) is not None)
    start = _folder(tree, root)
    return walk(tree, start, pattern) if start else None


def _folder(tree: Tree, path: str) -> Entry | None:
    entry = tree.entry(path)
    return entry if entry is not None and entry.kind is Kind.FOLDER else None


def _nothing(name: str, walked: Walked | None) -> CorpusError:
    shown = printable(name)
    if walked is not None and walked.left_out:
        return CorpusError(
            f"every file of {shown} is left out",
            facts={"found": _told(walked.left_out)},
            hint="what is spelled out is read whatever its name: name the files themselves",
        )
    is_folder = walked is not None and not is_pattern(name)
    kind = recognise(Path(name)) if is_folder and "://" not in name else None
    if kind is not None:
        return CorpusError(
            f"{shown} {kind.says}: there are no Parquet files in it",
            facts={"expected": "a corpus", "found": kind.name},
            hint=kind.hint,
        )
    return CorpusError(
        f"{'there are no Parquet files in' if is_folder else 'no file matches'} {shown}",
        hint=_HINT,
    )


def _told(left_out: dict[str, str]) -> str:
    reasons = Counter(left_out.values())
    words = [f"{number:,} {reason}" for reason, number in sorted(reasons.items())]
    files = "Parquet file" if sum(reasons.values()) == 1 else "Parquet files"
    return f"left out {files}: {', '.join(words)}" if words else ""
