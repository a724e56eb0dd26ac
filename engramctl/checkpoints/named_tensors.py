"""Tensors that a user names, or that their shape names: tables to import, token embeddings."""

from collections.abc import Mapping
from pathlib import Path

from engramctl.checkpoints.family_names import find_family
from engramctl.checkpoints.stacked_tensors import stacked
from engramctl.errors import ConfigError, FormatError
from engramctl.model_folder.place import Place, find_place
from engramctl.model_folder.tensors import read_folder
from engramctl.storage.files.safetensors_header import Tensor
from engramctl.storage.reading.source import CheckpointTables
from engramctl.storage.record.record import RecordSpec

FLOATS = {"F32": "f32", "BF16": "bf16", "F16": "f16"}
EMBEDDINGS = ("embed_tokens", "tok_embeddings", "token_embd", "word_embeddings", "wte", "embed")
"""What models call their token embeddings: the last part of the name before `.weight`."""
_LAYER = "{layer}"
Tensors = Mapping[str, Tensor]


def tensors_of(path: Path) -> dict[str, Tensor]:
    """Return the tensors of a safetensors file, or of all in a folder.

    Raises:
        FormatError: a header is wrong, or there is none.
        StorageError: a file cannot be read.
    """
    place = find_place(path) if path.is_dir() else Place(path.parent, path.parent, only=path)
    parts = {} if place is None else read_folder(place, find_family).tensors
    if not parts:
        raise FormatError(f"{path} holds no safetensors", facts={"path": path})
    return {name: one[0] for name, one in parts.items() if len(one) == 1}


def named_tables(
    path: Path, tensors: Tensors, num_rows: Mapping[int, int], row_dim: int, name: str | None
) -> CheckpointTables:
    """Return one float tensor a layer as tables in place.

    Args:
        path: for messages.
        tensors: of the file or folder.
        num_rows: rows that each layer's table must have.
        row_dim: values that each row must have.
        name: the tensors' name, `{layer}` where the layer's number stands; None: the one tensor
            that has a layer's shape.

    Raises:
        ConfigError: no such tensor, or more than one that could be meant.
        FormatError: another shape or dtype.
    """
    if name is not None and len(num_rows) > 1 and _LAYER not in name:
        raise ConfigError(
            f"'{name}' names one tensor for {len(num_rows)} layers",
            hint="write {layer} where the layer's number stands in --tensor",
        )
    found: dict[int, Tensor] = {}
    for layer, rows in num_rows.items():
        shape = (rows, row_dim)
        if name is None:
            found[layer] = _of_shape(path, tensors, shape, layer)
        else:
            found[layer] = _of_name(path, tensors, name.replace(_LAYER, str(layer)))
            if found[layer].shape != shape:
                raise _another_shape(found[layer], shape)
    dtypes = {tensor.dtype for tensor in found.values()}
    if len(dtypes) > 1:
        raise FormatError(
            "the layers' tensors differ in dtype",
            facts={"expected": "one dtype", "found": ", ".join(sorted(dtypes))},
        )
    dtype = dtypes.pop()
    record = RecordSpec(_float(next(iter(found.values()))), row_dim)
    tables = {
        layer: tuple(stacked([one], 0, dtype, record.weight_bytes, "a table"))
        for layer, one in found.items()
    }
    return CheckpointTables(path, record, tables, {})


def embedding_table(
    path: Path, tensors: Tensors, vocab_size: int, name: str | None
) -> CheckpointTables:
    """Return a model's token embeddings as a table in place: layer 0, a row a token id.

    Args:
        path: for messages.
        tensors: of the file or folder.
        vocab_size: it must have as many rows at least.
        name: of the tensor; None: one that models call so, or the only one of such a shape.

    Raises:
        ConfigError: no such tensor, or more than one that could be meant.
        FormatError: too few rows, or no floats.
    """
    if name is None:
        likely = {one.name: one for one in tensors.values() if _could_embed(one, vocab_size)}
        called = [n for n in likely if n.removesuffix(".weight").split(".")[-1] in EMBEDDINGS]
        tensor = _the_one(path, likely, called or list(likely), f"{vocab_size:,} rows or more")
    else:
        tensor = _of_name(path, tensors, name)
        if not _could_embed(tensor, vocab_size):
            raise FormatError(
                f"'{name}' cannot be the token embeddings",
                facts={
                    "file": tensor.path,
                    "expected": f"{', '.join(FLOATS)}, {vocab_size:,} rows or more",
                    "found": f"{tensor.dtype} {list(tensor.shape)}",
                },
            )
    record = RecordSpec(_float(tensor), tensor.shape[1])
    regions = stacked([tensor], 0, tensor.dtype, record.weight_bytes, "token embeddings")
    return CheckpointTables(path, record, {0: tuple(regions)}, {})


def _could_embed(tensor: Tensor, vocab_size: int) -> bool:
    return tensor.dtype in FLOATS and len(tensor.shape) == 2 and tensor.shape[0] >= vocab_size


def _float(tensor: Tensor) -> str:
    if tensor.dtype not in FLOATS:
        raise FormatError(
            f"'{tensor.name}' cannot be a table",
            facts={"file": tensor.path, "expected": ", ".join(FLOATS), "found": tensor.dtype},
        )
    return FLOATS[tensor.dtype]


def _of_name(path: Path, tensors: Tensors, name: str) -> Tensor:
    if name not in tensors:
        raise ConfigError(
            f"{path} has no tensor '{name}'",
            facts={"found": ", ".join(sorted(tensors)[:6]) + (" ..." if len(tensors) > 6 else "")},
            hint="name it with --tensor",
        )
    return tensors[name]


def _of_shape(path: Path, tensors: Tensors, shape: tuple[int, int], layer: int) -> Tensor:
    fitting = [name for name, one in tensors.items() if one.shape == shape]
    return _the_one(path, tensors, fitting, f"one tensor {list(shape)} for layer {layer}")


def _the_one(path: Path, tensors: Tensors, names: list[str], expected: str) -> Tensor:
    if len(names) != 1:
        raise ConfigError(
            f"{path} does not say which tensor is meant",
            facts={"expected": expected, "found": ", ".join(sorted(names)[:6]) or "none"},
            hint="name it with --tensor",
        )
    return tensors[names[0]]


def _another_shape(tensor: Tensor, shape: tuple[int, int]) -> FormatError:
    return FormatError(
        f"'{tensor.name}' has another shape than the scheme's table",
        facts={"file": tensor.path, "expected": list(shape), "found": list(tensor.shape)},
        hint="check --slots, --heads, --orders and --row-dim",
    )
