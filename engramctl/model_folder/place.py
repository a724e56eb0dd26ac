"""Where a path's safetensors files lie: its folder, the index that decides, its config.json."""

import os
import re
from dataclasses import dataclass
from pathlib import Path

from engramctl.model_folder.index import INDEX, index_files, named_files
from engramctl.model_folder.rank_files import rank_of
from engramctl.storage.kinds.folders import MANIFEST

CONFIG = "config.json"
NUMBERED = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.safetensors", re.ASCII)


@dataclass(frozen=True)
class Place:
    """Where a checkpoint of safetensors files lies.

    Attributes:
        folder: of the files.
        model: of config.json and tokenizer.json; the same, or the one above.
        index: the index file that was named; None: the folder's own, if any.
        only: the one file that was named and belongs to no other; None: all of the folder.
        notes: what is read instead of what was named.
    """

    folder: Path
    model: Path
    index: Path | None = None
    only: Path | None = None
    notes: tuple[str, ...] = ()


def find_place(path: Path) -> Place | None:
    """Return where a path's safetensors files are, or None: it is none, or a folder of ours."""
    if path.is_dir():
        return _of_folder(path)
    if not path.is_file() or (path.parent / MANIFEST).exists():
        return None
    if path.name.endswith(".safetensors.index.json"):
        note = f"{path.name} is an index: the checkpoint in its folder is read by it"
        return Place(path.parent, path.parent, index=path, notes=(note,))
    if path.suffix != ".safetensors":
        return None
    if not _is_part(path):
        return Place(path.parent, path.parent, only=path)
    note = f"{path.name} is one file of a checkpoint: all of its folder is read"
    return Place(path.parent, path.parent, notes=(note,))


def _of_folder(path: Path) -> Place | None:
    if (path / MANIFEST).exists():
        return None
    indexes = index_files(path)
    if next(path.glob("*.safetensors"), None):
        return Place(path, path)
    if not indexes and not (path / CONFIG).is_file():
        return None
    below = sorted({one.parent for one in path.glob("*/*.safetensors")})
    named = named_files(indexes[0]) if indexes else set()
    if (
        len(below) != 1
        or (below[0] / MANIFEST).exists()
        or any(os.path.exists(path / n) for n in named)
    ):
        return Place(path, path) if indexes else None
    note = f"the safetensors files read are those of {below[0].name}/"
    index = indexes[0] if indexes and not index_files(below[0]) else None
    return Place(below[0], path, index, notes=(note,))


def _is_part(path: Path) -> bool:
    if rank_of(path.name) or NUMBERED.fullmatch(path.name):
        return True
    index = path.parent / INDEX
    return index.exists() and path.name in named_files(index)
