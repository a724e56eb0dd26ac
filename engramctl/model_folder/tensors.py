"""The tensors of a model's folder that count: the index decides, or there is one of each."""

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engramctl.errors import FormatError
from engramctl.model_folder.index import find_index, read_index
from engramctl.model_folder.place import NUMBERED, Place
from engramctl.model_folder.rank_files import check_ranks, rank_of
from engramctl.storage.files.safetensors_header import Tensor, read_header

Parts = Mapping[str, tuple[Tensor, ...]]
"""Tensors by name; several of a name are the ranks' parts of it, in their order."""


@dataclass(frozen=True)
class FolderTensors:
    """What a folder's safetensors files hold.

    Attributes:
        path: the folder, or the one file.
        tensors: by name.
        absent: the file of each tensor that the index names and that is not there.
        astray: the file of each tensor that the index names and that is not in it.
        notes: what is absent, and what is read instead of it.
    """

    path: Path
    tensors: Parts
    absent: Mapping[str, str] = field(default_factory=dict)
    astray: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()


def read_folder(place: Place, family_of: Callable[[Iterable[str]], str | None]) -> FolderTensors:
    """Return the tensors of a folder's safetensors files that count.

    With an index those that it names, each in the file that it says; a file of which it names none
    is not opened. Where it names no table, or none of its files is there, the others are read.

    Args:
        place: where they lie.
        family_of: returns the family whose tables are among some names, or None.

    Raises:
        FormatError: a header or the index is wrong, a rank's file is missing, or without an index
            two files hold one tensor.
        StorageError: a file cannot be read.
    """
    folder = place.folder
    if place.only is not None:
        return FolderTensors(place.only, single(read_header(place.only)), notes=place.notes)
    files = sorted(folder.glob("*.safetensors"))
    index = place.index or find_index(folder)
    if index is None:
        return FolderTensors(folder, _all(files), notes=(*place.notes, *_numbers(files)))
    named = read_index(index)
    others = [path for path in files if path.name not in set(named.values())]
    is_here = {file: os.path.exists(folder / file) for file in dict.fromkeys(named.values())}
    if others and not (family_of(named) and any(is_here.values())):
        found = _instead(others, family_of(named) is not None)
        if family_of(found):
            note = f"{index.name} names none of the files with tables: those beside it are read"
            return FolderTensors(folder, found, notes=(*place.notes, note))
    return _by_index(place, index, named, is_here)


def _instead(paths: Sequence[Path], is_named: bool) -> Parts:
    """Return the tensors of files outside an index; none when they are broken and no one asks."""
    try:
        return _all(paths)
    except FormatError:
        if is_named:
            return {}
        raise


def _by_index(
    place: Place, index: Path, named: Mapping[str, str], is_here: Mapping[str, bool]
) -> FolderTensors:
    tensors: dict[str, tuple[Tensor, ...]] = {}
    for file, here in is_here.items():
        if not here:
            continue
        for name, tensor in read_header(place.folder / file).items():
            if named.get(name, file) != file:
                continue  # the index says that another file's counts
            if name in tensors:
                raise _twice(tensor, tensors[name][0])
            tensors[name] = (tensor,)
    gone = {name: file for name, file in named.items() if name not in tensors}
    missing = [file for file, here in is_here.items() if not here]
    notes = place.notes
    if missing:
        count = f"{len(missing):,} of {len(is_here):,} files are absent"
        notes = (*notes, f"{count}, which hold no table: {_some(missing)}")
    return FolderTensors(
        place.folder,
        tensors,
        absent={name: file for name, file in gone.items() if not is_here[file]},
        astray={name: file for name, file in gone.items() if is_here[file]},
        notes=notes,
    )


def _all(paths: Sequence[Path]) -> dict[str, tuple[Tensor, ...]]:
    """Return the tensors of files without an index; of rank files in the order of ranks."""
    check_ranks(paths)
    found: dict[str, dict[int, Tensor]] = {}
    stems: dict[str, str | None] = {}
    for path in paths:
        one = rank_of(path.name)
        rank, stem = (one.rank, one.stem) if one else (0, None)
        for name, tensor in read_header(path).items():
            ranks = found.setdefault(name, {})
            if ranks and (rank in ranks or stem is None or stems[name] != stem):
                raise _twice(tensor, next(iter(ranks.values())))
            ranks[rank] = tensor
            stems[name] = stem
    return {name: tuple(ranks[rank] for rank in sorted(ranks)) for name, ranks in found.items()}


def single(tensors: Mapping[str, Tensor]) -> dict[str, tuple[Tensor, ...]]:
    """Return tensors of one file as the parts that they are."""
    return {name: (tensor,) for name, tensor in tensors.items()}


def check_absent(found: FolderTensors, is_needed: Callable[[str], bool]) -> None:
    """Refuse a folder that lacks a tensor of a table, or one that its index says is in a file.

    Args:
        found: what it holds.
        is_needed: tells whether a table needs a tensor, by its name.

    Raises:
        FormatError: names the first such tensor and its file, those of tables first.
    """
    needed = sorted(name for name in found.absent if is_needed(name))
    if needed:
        files = sorted({found.absent[name] for name in needed})
        raise FormatError(
            f"'{needed[0]}' is in a file that is absent: {found.absent[needed[0]]}",
            facts={
                "folder": found.path,
                "expected": f"the files with tables; absent: {_some(files)}",
                "found": f"{len(found.tensors):,} tensors; absent are {len(found.absent):,}",
            },
            hint="fetch the files with tables too; the others are not needed",
        )
    for name in sorted(found.astray, key=lambda one: (not is_needed(one), one)):
        file = found.astray[name]
        raise FormatError(
            f"'{name}' is not where the index says",
            facts={
                "file": found.path / file,
                "expected": f"'{name}' in {file}",
                "found": "no such tensor",
            },
            hint="the file or the index is from another release; fetch the checkpoint again",
        )


def _numbers(paths: Sequence[Path]) -> list[str]:
    """Say which numbers are absent of files called NAME-00002-of-00048."""
    here: dict[tuple[str, int], set[int]] = {}
    for path in paths:
        if one := NUMBERED.fullmatch(path.name):
            here.setdefault((one[1], int(one[3])), set()).add(int(one[2]))
    return [
        f"{count - len(numbers):,} of {count:,} files {stem}-*-of-{count:05d} are absent"
        for (stem, count), numbers in here.items()
        if len(numbers) < count
    ]


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3:,} more" if len(names) > 3 else "")


def _twice(tensor: Tensor, before: Tensor) -> FormatError:
    return FormatError(
        f"'{tensor.name}' is in two files",
        facts={"file": tensor.path, "also in": before.path},
        hint="remove the files that do not belong to the checkpoint, or fetch its index",
    )
