"""Tables in a GGUF file, in place."""

import re
from pathlib import Path

from engramctl.checkpoints.gguf_header import GgufTensor, read_gguf
from engramctl.checkpoints.stacked_tensors import numbered, put_once, stacked
from engramctl.errors import ConfigError, FormatError
from engramctl.storage.files.safetensors_header import Tensor
from engramctl.storage.reading.region import Region
from engramctl.storage.reading.source import CheckpointTables
from engramctl.storage.record.record import RecordSpec

# llama.cpp's names: one table of Qwen3.8; LongCat's tables; DeepSeek-V4.1's, a layer each
_TABLE = "per_layer_token_embd.weight"
_HEADS = re.compile(r"ngram_embd\.(\d{1,5})\.weight", re.ASCII)
_LAYERS = re.compile(r"blk\.(\d{1,5})\.engram_embd\.weight", re.ASCII)
_DTYPES = {0: "f32", 1: "f16", 2: "q4_0", 8: "q8_0", 20: "iq4_nl", 30: "bf16"}  # ggml's numbers
_OTHERS = {3: "Q4_1", 6: "Q5_0", 7: "Q5_1", 10: "Q2_K", 11: "Q3_K", 12: "Q4_K", 13: "Q5_K"}
_OTHERS |= {14: "Q6_K", 15: "Q8_K"}


def gguf_tables(path: Path) -> CheckpointTables:
    """Return the tables of a GGUF file.

    Raises:
        FormatError: no GGUF file, no table in it, one twice, or one of a type we cannot read.
        StorageError: it cannot be read.
    """
    header = read_gguf(path)
    layers: dict[int, Tensor] = {}
    heads: dict[int, Tensor] = {}
    specs: set[RecordSpec] = set()
    for one in header.tensors:
        head, layer = _HEADS.fullmatch(one.name), _LAYERS.fullmatch(one.name)
        if one.name != _TABLE and not head and not layer:
            continue
        tensor, spec = _tensor(path, one, header.file_bytes)
        specs.add(spec)
        if head:
            put_once(heads, int(head[1]), tensor, "table")
        else:
            number = int(layer[1]) if layer else header.first_layer
            put_once(layers, number, tensor, "the table of layer")
    if len(specs) != 1 or (heads and layers):
        raise FormatError(
            f"{path} holds no tables of one kind",
            facts={
                "file": path,
                "expected": f"{_TABLE}, ngram_embd.N.weight or blk.L.engram_embd.weight",
                "found": sorted((one.dtype, one.row_dim) for one in specs) or "none of them",
            },
        )
    spec = specs.pop()
    parts = {0: numbered(heads, "table")} if heads else {n: [one] for n, one in layers.items()}
    tables: dict[int, tuple[Region, ...]] = {
        layer: tuple(stacked(found, 0, "U8", spec.weight_bytes, "a table"))
        for layer, found in sorted(parts.items())
    }
    return CheckpointTables(path, spec, tables, {})


def _tensor(path: Path, found: GgufTensor, size: int) -> tuple[Tensor, RecordSpec]:
    """Return a tensor as rows of bytes, and how a row is stored."""
    dtype = _DTYPES.get(found.kind)
    if dtype is None:
        raise FormatError(
            f"'{found.name}' is of a type that cannot be read",
            facts={
                "file": path,
                "expected": ", ".join(sorted(_DTYPES.values())),
                "found": _OTHERS.get(found.kind, f"ggml type {found.kind}"),
            },
        )
    columns, rows = found.shape[0], 1
    for number in found.shape[1:]:
        rows = min(rows * number, size + 1)  # more than a file of bytes has is more than it has
    try:
        spec = RecordSpec(dtype, columns)
    except ConfigError as error:
        raise FormatError(
            f"'{found.name}' cannot be a table", facts={"file": path, **error.facts}
        ) from error
    num_bytes = rows * spec.weight_bytes
    if found.offset + num_bytes > size:
        raise FormatError(
            f"'{found.name}' does not fit its file",
            facts={
                "file": path,
                "expected": f"{found.offset + num_bytes:,} bytes",
                "found": f"shape {list(reversed(found.shape))}, {size:,} bytes",
            },
        )
    shape = (rows, spec.weight_bytes)
    return Tensor(path, found.name, "U8", shape, found.offset, num_bytes), spec
