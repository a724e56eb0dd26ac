"""A model of one GGUF file or of several: any part, or the folder, opens all of them."""

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from engramctl.errors import FormatError
from engramctl.gguf.header import GgufHeader, GgufTensor, IntegerList, read_gguf

_PART = re.compile(r"(.+)-(\d{5})-of-(\d{5})\.gguf", re.ASCII)
_COUNT, _NUMBER = "split.count", "split.no"
_SHOWN = 4


@dataclass(frozen=True)
class GgufModel:
    """What a model's files say, together.

    Attributes:
        path: the file or folder that was named.
        tensors: of all files.
        integers: see `GgufHeader`; the first file that has a fact decides.
        lists: see `GgufHeader`.
        lengths: see `GgufHeader`.
        file_bytes: each file's length.
    """

    path: Path
    tensors: tuple[GgufTensor, ...]
    integers: Mapping[str, int]
    lists: Mapping[str, IntegerList]
    lengths: Mapping[str, int]
    file_bytes: Mapping[Path, int]


def gguf_files(folder: Path) -> list[Path]:
    """Return the GGUF files of a folder, in the order of their names."""
    return sorted(path for path in folder.glob("*.gguf") if not path.is_dir())


def read_model(path: Path, has_tables: Callable[[str], bool]) -> GgufModel:
    """Read the headers of a GGUF file, of all parts of a split one, or of a folder of either.

    Args:
        path: a file, any part, or a folder.
        has_tables: whether a tensor of this name is a table: a folder may hold other models.

    Raises:
        FormatError: a part is missing or of another model, a folder holds several models with
            tables, or none, or a header is wrong.
        StorageError: a file cannot be read.
    """
    if not path.is_dir():
        return _joined(path, _parts(path))
    models: dict[tuple[Path, ...], GgufModel] = {}
    for file in gguf_files(path):
        if not any(file in parts for parts in models):
            parts = _parts(file)
            models[tuple(parts)] = _joined(path, parts)
    found = [
        parts
        for parts, model in models.items()
        if any(has_tables(tensor.name) for tensor in model.tensors)
    ]
    if len(found) == 1:
        return models[found[0]]
    if len(models) == 1:
        return next(iter(models.values()))
    names = ", ".join(parts[0].name for parts in (found or list(models))[:_SHOWN])
    raise FormatError(
        f"{path} holds {len(found) or 'no'} GGUF models with n-gram tables",
        facts={"folder": path, "expected": "one", "found": names},
        hint="name one of its files",
    )


def _parts(path: Path) -> list[Path]:
    """Return a file with its siblings, by its name."""
    match = _PART.fullmatch(path.name)
    if match is None or int(match[3]) < 1:
        return [path]
    count = int(match[3])
    names = (f"{match[1]}-{number:05d}-of-{count:05d}.gguf" for number in range(1, count + 1))
    parts = [path.with_name(name) for name in names]
    if path not in parts:
        raise FormatError(
            f"{path.name} is no part of {count}",
            facts={"file": path, "expected": f"00001 to {count:05d}", "found": match[2]},
        )
    missing = [part.name for part in parts if not part.exists()]
    if missing:
        more = f" and {len(missing) - _SHOWN:,} more" if len(missing) > _SHOWN else ""
        raise FormatError(
            f"{missing[0]} is missing: {path.name} is one of {count:,} parts",
            facts={"folder": path.parent, "missing": ", ".join(missing[:_SHOWN]) + more},
            hint="fetch all parts into one folder, under the names they were published with",
        )
    return parts


def _joined(path: Path, parts: list[Path]) -> GgufModel:
    headers = {part: read_gguf(part) for part in parts}
    for number, (part, header) in enumerate(headers.items()):
        _check_part(part, header, number, len(parts))
    tensors: dict[str, GgufTensor] = {}
    for header in headers.values():
        for tensor in header.tensors:
            if tensors.setdefault(tensor.name, tensor) is not tensor:
                raise FormatError(
                    f"'{tensor.name[:80]}' is in two parts",
                    facts={"file": tensor.path, "also in": tensors[tensor.name].path},
                    hint="the parts are of different releases; fetch them again",
                )
    backwards = list(reversed(headers.values()))
    return GgufModel(
        path,
        tuple(tensors.values()),
        {name: value for header in backwards for name, value in header.integers.items()},
        {name: value for header in backwards for name, value in header.lists.items()},
        {name: value for header in backwards for name, value in header.lengths.items()},
        {part: header.file_bytes for part, header in headers.items()},
    )


def _check_part(path: Path, header: GgufHeader, number: int, count: int) -> None:
    """Compare what a part says of itself with its name."""
    stated, which = header.integers.get(_COUNT, 0), header.integers.get(_NUMBER, number)
    if stated <= 1 and count == 1:
        return
    if stated not in (0, count) or which != number:
        told = f"part {which + 1:,} of {stated:,}"
        raise FormatError(
            f"{path.name} says that it is {told}",
            facts={"file": path, "expected": f"part {number + 1} of {count}", "found": told},
            hint="keep the names that the parts were published with, such as "
            f"NAME-00001-of-00003.gguf: ls {shlex.quote(str(path.parent))}",
        )
