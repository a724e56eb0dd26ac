"""All tensors of a model's folder, by name, from its safetensors headers and its index."""

from collections.abc import Mapping
from pathlib import Path

from engramctl.errors import FormatError
from engramctl.storage.files.safetensors_header import Tensor, read_header
from engramctl.storage.files.strict_json import load_json, read_limited
from engramctl.storage.kinds.recognise import stand_in

INDEX = "model.safetensors.index.json"
MAX_INDEX_BYTES = 256 << 20


def read_tensors(folder: Path) -> dict[str, Tensor]:
    """Return every tensor of a folder's safetensors files.

    Raises:
        FormatError: a header is wrong, two files hold one tensor, or the index names a file or a
            tensor that is not there.
        StorageError: a file cannot be read.
    """
    tensors: dict[str, Tensor] = {}
    for path in sorted(folder.glob("*.safetensors")):
        for name, tensor in read_header(path).items():
            if name in tensors:
                raise FormatError(
                    f"'{name}' is in two files",
                    facts={"file": path, "also in": tensors[name].path},
                    hint="remove the files that do not belong to the checkpoint",
                )
            tensors[name] = tensor
    if (folder / INDEX).exists():
        _check_index(folder / INDEX, tensors)
    return tensors


def _check_index(path: Path, tensors: Mapping[str, Tensor]) -> None:
    text = read_limited(path, MAX_INDEX_BYTES)
    try:
        places = load_json(text)["weight_map"]
        named = {str(name): str(file) for name, file in places.items()}
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise stand_in(path, "the index of a checkpoint") or FormatError(
            f"{path} is no index of a checkpoint", facts={"file": path}
        ) from error
    for name, file in named.items():
        found = tensors.get(name)
        if found is None or found.path.name != file:
            raise FormatError(
                f"'{name}' is not where {path.name} says",
                facts={
                    "file": path.parent / file,
                    "expected": f"'{name}' in {file}",
                    "found": found.path.name if found else "no such tensor",
                },
                hint="a shard is missing or from another release; fetch the checkpoint again",
            )
