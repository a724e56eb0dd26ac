"""A family's own files for given rows: which tensors, of which rows and bytes, in which file."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from engramctl.errors import ConfigError, unknown
from engramctl.storage.reading.source import Source

_PLAIN = {"f32": "F32", "bf16": "BF16", "f16": "F16"}
Ranges = Sequence[tuple[int, int]]


@dataclass(frozen=True)
class Piece:
    """One tensor to be written.

    Attributes:
        name: as the family has it.
        dtype: as safetensors names it.
        shape: sizes.
        layer: whose rows.
        rows: first row and the row after the last.
        columns: first byte of the record and the byte after the last.
        value: the bytes of a scalar, instead of rows.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    layer: int
    rows: tuple[int, int] = (0, 0)
    columns: tuple[int, int] = (0, 0)
    value: bytes | None = None

    @property
    def num_bytes(self) -> int:
        """Bytes of its data."""
        if self.value is not None:
            return len(self.value)
        return (self.rows[1] - self.rows[0]) * (self.columns[1] - self.columns[0])


def pieces_of(
    family: str, source: Source, heads: Callable[[int], Ranges], parts: int
) -> list[Piece]:
    """Return the tensors of a family, in the order they are written.

    Args:
        family: one of FAMILIES.
        source: the rows.
        heads: a layer's heads, ranges that cover it.
        parts: row shards, for families that have them.

    Raises:
        ConfigError: an unknown family, or a dtype or layers it does not have.
    """
    if family not in FAMILIES:
        raise unknown("family", family, FAMILIES)
    dtypes, make = FAMILIES[family]
    if source.record.dtype not in dtypes:
        raise ConfigError(
            f"{family} has no rows of dtype {source.record.dtype}",
            facts={"expected": " or ".join(dtypes), "found": source.record.dtype},
            hint=f"convert them first: engramctl layout {source.path} --dtype {dtypes[0]} "
            "--form planar -o converted",
        )
    pieces: list[Piece] = []
    for layer in source.layers:
        pieces += make(source, layer, heads(layer), parts)
    return pieces


def _rows(
    name: str, source: Source, layer: int, rows: tuple[int, int], part: str = "weight"
) -> Piece:
    """Return the tensor of some rows' values or scales."""
    record, facts = source.record, source.record.facts
    if part == "weight":
        columns, dtype, item = (0, record.weight_bytes), facts.tensor, facts.item_bytes
    else:
        columns = (record.weight_bytes, record.record_bytes)
        dtype, item = facts.scale_tensor or "U8", facts.scale_item_bytes
    shape = (rows[1] - rows[0], (columns[1] - columns[0]) // item)
    return Piece(name, dtype, shape, layer, rows, columns)


def _scalar(name: str, source: Source, layer: int) -> Piece:
    """Return the table's scale: BF16 where that is exact, as releases have it, else F32."""
    value = np.float32(source.table_scale(layer) or 1.0)
    bits = int(value.view(np.uint32))
    if bits & 0xFFFF:
        return Piece(name, "F32", (), layer, value=value.tobytes())
    return Piece(name, "BF16", (), layer, value=np.uint16(bits >> 16).tobytes())


def _deepseek_v41(source: Source, layer: int, heads: Ranges, parts: int) -> list[Piece]:
    every = (0, source.num_rows(layer))
    name = f"layers.{layer}.engram.embed"
    return [
        _rows(f"{name}.weight", source, layer, every),
        _rows(f"{name}.scale", source, layer, every, "scale"),
    ]


def row_cuts(num_rows: int, parts: int) -> list[tuple[int, int]]:
    """Cut rows into shards of ceil(rows / parts), the last one shorter (Qwen3.8-Flash-Next).

    Example:
        >>> row_cuts(10, 4)
        [(0, 3), (3, 6), (6, 9), (9, 10)]
    """
    step = math.ceil(num_rows / parts)
    return [(start, min(start + step, num_rows)) for start in range(0, num_rows, step)]


def _qwen(source: Source, layer: int, heads: Ranges, parts: int) -> list[Piece]:
    stem = f"model.language_model.layers.{layer}.ple.ple_embedding.ngram_embedding"
    pieces = []
    for number, rows in enumerate(row_cuts(source.num_rows(layer), parts)):
        shard = f"{stem}.shard_{number}"
        pieces.append(_rows(f"{shard}.weight", source, layer, rows))
        if source.record.dtype == "nvfp4":
            scale = np.float32(source.table_scale(layer) or 1.0).tobytes()
            pieces.append(_rows(f"{shard}.weight_scale", source, layer, rows, "scale"))
            pieces.append(Piece(f"{shard}.weight_scale_2", "F32", (), layer, value=scale))
    if source.record.dtype == "f8_e4m3_scalar":
        pieces.append(_scalar(f"{stem}.weight_scale", source, layer))
    return pieces


def _one_tensor_a_head(template: str) -> Callable[[Source, int, Ranges, int], list[Piece]]:
    def make(source: Source, layer: int, heads: Ranges, parts: int) -> list[Piece]:
        if len(source.layers) > 1:
            raise ConfigError(
                f"{template.format('N')} has one table a head and no layers",
                facts={"found": f"layers {', '.join(map(str, source.layers))}"},
            )
        if list(heads) != sorted(heads):
            raise ConfigError(
                f"{template.format('N')} has its heads in the order of the table's rows",
                facts={"found": f"heads that begin at rows {[start for start, _ in heads[:5]]}"},
                hint="the scheme is of another family",
            )
        return [
            _rows(template.format(number), source, layer, rows) for number, rows in enumerate(heads)
        ]

    return make


Make = Callable[[Source, int, Ranges, int], list[Piece]]
FAMILIES: dict[str, tuple[Sequence[str], Make]] = {
    "deepseek-v41": (("f8_e4m3",), _deepseek_v41),
    "qwen-ple": (("f8_e4m3_scalar", "nvfp4", *_PLAIN), _qwen),
    "longcat": (
        ("bf16", "f16", "f32"),
        _one_tensor_a_head("model.ngram_embeddings.embedders.{}.weight"),
    ),
    "longcat-causal": (
        ("bf16", "f16", "f32"),
        _one_tensor_a_head("model.oe_embed_tokens{}.weight"),
    ),
    "over-encoding": (("bf16", "f16", "f32"), _one_tensor_a_head("model.oe_embeddings.{}.weight")),
}
