"""The files that a command reads, and by what a change of one is known."""

import os
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import xxhash

from engramctl.sources.file import SourceFile
from engramctl.sources.find import find_files
from engramctl.storage.files.atomic import os_errors, storage_error
from engramctl.storage.files.published import RECORD

_READ_BYTES = 1 << 22
_INDEX = ".index.json"


@dataclass(frozen=True)
class InputFile:
    """One file as it was.

    Attributes:
        file: its name as it was given, or found under a name that was.
        bytes: its length.
        mtime_ns: when it was last written; None where the system does not say.
        inode: which file of that name it is; None on remote systems.
        xxh3_128: of its contents; None: not asked for.
    """

    file: str
    bytes: int
    mtime_ns: int | None
    inode: int | None
    xxh3_128: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return it as JSON."""
        return asdict(self)


def corpus_files(name: str, *, skip_bad_files: bool = False) -> list[SourceFile]:
    """Return the files of a corpus, as `mine` finds them.

    Raises:
        CorpusError: as `find_files`.
    """
    return list(find_files([name], skip_bad_files=skip_bad_files).files)


def path_files(path: Path) -> list[SourceFile]:
    """Return the files that an option's value means: none where it is the name of a preset.

    Of a folder all in it and below, but not what it was made from itself; of a file that one, the
    shards of an index, and the tokenizer beside it, which a scheme without one takes.
    """
    with os_errors("open", path):
        if path.is_dir():
            return [SourceFile.local(one) for one in _below(path)]
        if not path.is_file():
            return []
        beside = [path.parent / "tokenizer.json"]
        if path.name.endswith(_INDEX):
            beside += sorted(path.parent.glob("*.safetensors"))
        others = [one for one in beside if one != path and one.is_file()]
        return [SourceFile.local(one) for one in (path, *others)]


def _below(folder: Path) -> Iterator[str]:
    for place, folders, files in os.walk(folder):
        folders.sort()
        for name in sorted(files):
            if name != RECORD and os.path.isfile(found := os.path.join(place, name)):
                yield found


def look_at(file: SourceFile, *, contents: bool = False, bad_too: bool = False) -> InputFile:
    """Return what a file is now; its contents are read when they are asked for.

    With `bad_too` one that cannot be read is known by the rest alone.

    Raises:
        StorageError: it cannot be read.
    """
    try:
        digest = _digest(file, bad_too) if contents else None
        if file.filesystem is not None:
            info = file.filesystem.get_file_info(file.path)
            return InputFile(str(file), int(info.size), info.mtime_ns, None, digest)
        found = os.stat(file.path)
    except OSError as error:  # no context manager: there may be very many files
        raise storage_error(error, "read", Path(file.path)) from error
    return InputFile(str(file), found.st_size, found.st_mtime_ns, found.st_ino, digest)


def _digest(file: SourceFile, bad_too: bool) -> str | None:
    digest = xxhash.xxh3_128()
    try:
        with file.open() as stream:
            while piece := stream.read(_READ_BYTES):
                digest.update(piece)
    except OSError:
        if not bad_too:
            raise
        return None
    return digest.hexdigest()
