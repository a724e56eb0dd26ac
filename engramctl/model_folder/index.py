"""The index of a checkpoint: which file holds which tensor."""

from pathlib import Path, PurePosixPath

from engramctl.errors import FormatError
from engramctl.storage.files.strict_json import load_json, read_limited
from engramctl.storage.kinds.recognise import stand_in

INDEX = "model.safetensors.index.json"
MAX_INDEX_BYTES = 256 << 20
MAX_NAME = 255  # of a file, in characters


def index_files(folder: Path) -> list[Path]:
    """Return the index files of a folder: the usual one alone, or those of other names."""
    usual = folder / INDEX
    return [usual] if usual.exists() else sorted(folder.glob("*.safetensors.index.json"))


def find_index(folder: Path) -> Path | None:
    """Return the index that decides in a folder, or None.

    Raises:
        FormatError: there are several, and none has the usual name.
    """
    found = index_files(folder)
    if len(found) > 1:
        raise FormatError(
            f"{folder} has several indexes, and which one counts is not said",
            facts={"expected": INDEX, "found": ", ".join(path.name for path in found[:4])},
            hint=f"name one of them instead of the folder: {found[0]}",
        )
    return found[0] if found else None


def read_index(path: Path) -> dict[str, str]:
    """Return the file of each tensor, by the tensor's name.

    Raises:
        FormatError: it is no index, or it names a file outside its folder.
        StorageError: it cannot be read.
    """
    text = read_limited(path, MAX_INDEX_BYTES)
    try:
        places = load_json(text)["weight_map"]
        named = {str(name): str(file) for name, file in places.items()}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise stand_in(path, "the index of a checkpoint") or FormatError(
            f"{path} is no index of a checkpoint", facts={"file": path}
        ) from error
    for file in dict.fromkeys(named.values()):
        parts = PurePosixPath(file).parts
        if not parts or {"/", ".."} & {*parts} or "\0" in file or max(map(len, parts)) > MAX_NAME:
            raise FormatError(
                f"{path} names a file that cannot be in its folder",
                facts={"file": path, "found": ascii(file)[:200]},
                hint="the index is not as converters write it; fetch the checkpoint again",
            )
    return named


def named_files(path: Path) -> set[str]:
    """Return the files that an index names; none where it cannot be read as one."""
    try:
        return set(read_index(path).values())
    except FormatError:
        return set()
