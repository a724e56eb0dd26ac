"""Tables in a GGUF file, in place; its header is read by the `gguf` package (extra `[gguf]`)."""

import re
from pathlib import Path
from typing import Any

import numpy as np

from engramctl.checkpoints.gguf_check import check_gguf
from engramctl.checkpoints.parts import numbered, stacked
from engramctl.errors import ConfigError, FormatError
from engramctl.storage.dtypes import BY_NAME
from engramctl.storage.record import RecordSpec
from engramctl.storage.region import Region
from engramctl.storage.safetensors_header import Tensor
from engramctl.storage.source import CheckpointTables

# llama.cpp's names: one table of Qwen3.8; LongCat's tables; DeepSeek-V4.1's, a layer each
_TABLE = "per_layer_token_embd.weight"
_HEADS = re.compile(r"ngram_embd\.(\d+)\.weight")
_LAYERS = re.compile(r"blk\.(\d+)\.engram_embd\.weight")
_DTYPES = {
    "F32": "f32",
    "F16": "f16",
    "BF16": "bf16",
    "Q8_0": "q8_0",
    "Q4_0": "q4_0",
    "IQ4_NL": "iq4_nl",
}


def gguf_tables(path: Path) -> CheckpointTables:
    """Return the tables of a GGUF file.

    Raises:
        ConfigError: the package `gguf` is not installed.
        FormatError: no GGUF file, no table in it, or one of a type we cannot read.
    """
    try:
        from gguf import GGUFReader
    except ImportError as error:
        raise ConfigError(
            "reading GGUF files needs the package gguf", hint="run: pip install 'engramctl[gguf]'"
        ) from error
    check_gguf(path)
    try:
        with np.errstate(over="raise"):  # it adds offsets before it looks at them
            reader = GGUFReader(str(path))
    except Exception as error:  # it raises whatever its parsing meets
        raise FormatError(
            f"{path} is no GGUF file: {str(error)[:200]}", facts={"file": path}
        ) from error
    size = path.stat().st_size
    layers: dict[int, list[Tensor]] = {}
    heads: dict[int, Tensor] = {}
    dtypes = set()
    for one in reader.tensors:
        name = str(one.name)
        head, layer = _HEADS.fullmatch(name), _LAYERS.fullmatch(name)
        if name != _TABLE and not head and not layer:
            continue
        tensor, dtype = _tensor(path, one, size)
        dtypes.add((dtype, int(one.shape[0])))
        if head:
            heads[int(head[1])] = tensor
        else:
            layers[int(layer[1]) if layer else _first_layer(reader)] = [tensor]
    if heads:
        layers[0] = numbered(heads, "table")
    if len(dtypes) != 1:
        raise FormatError(
            f"{path} holds no tables of one kind",
            facts={
                "file": path,
                "expected": f"{_TABLE}, ngram_embd.N.weight or blk.L.engram_embd.weight",
                "found": sorted(dtypes) or "none of them",
            },
        )
    dtype, columns = dtypes.pop()
    spec = RecordSpec(dtype, columns)
    tables: dict[int, tuple[Region, ...]] = {
        layer: tuple(stacked(found, 0, "U8", spec.weight_bytes, "a table"))
        for layer, found in sorted(layers.items())
    }
    return CheckpointTables(path, spec, tables, {})


def _tensor(path: Path, found: Any, size: int) -> tuple[Tensor, str]:
    """Return a tensor as rows of bytes, and the dtype of its rows."""
    kind = found.tensor_type.name
    if kind not in _DTYPES:
        raise FormatError(
            f"'{found.name}' is of a type that cannot be read",
            facts={"file": path, "expected": ", ".join(_DTYPES), "found": kind},
        )
    columns = int(found.shape[0])
    rows = 1
    for number in found.shape[1:]:
        rows *= int(number)
    offset, num_bytes = int(found.data_offset), int(found.n_bytes)
    if offset + num_bytes > size or columns % BY_NAME[_DTYPES[kind]].block_values:
        raise FormatError(
            f"'{found.name}' does not fit its file",
            facts={
                "file": path,
                "expected": f"{offset + num_bytes:,} bytes",
                "found": f"{size:,} bytes",
            },
        )
    return Tensor(path, str(found.name), "U8", (rows, num_bytes // rows), offset, num_bytes), (
        _DTYPES[kind]
    )


def _first_layer(reader: Any) -> int:
    for name, field in reader.fields.items():
        if name.endswith(".ple.layers"):
            return int(field.parts[field.data[0]][0])
    return 0
