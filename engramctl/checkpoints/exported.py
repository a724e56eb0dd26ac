"""A family's own files for given rows: which tensors, of which rows and bytes, in which file."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

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


@dataclass(frozen=True)
class Cuts:
    """How a layer is cut into tensors, and the constants that go with them.

    Attributes:
        heads: ranges that cover its rows.
        shards: of the families that have row shards: ranges that cover its rows.
        constants: by the last part of their tensors' names; for families that ship them.
    """

    heads: Ranges
    shards: Ranges
    constants: Mapping[str, Sequence[int]] = field(default_factory=dict)


def pieces_of(family: str, source: Source, cuts: Callable[[int], Cuts]) -> list[Piece]:
    """Return the tensors of a family, in the order they are written.

    Args:
        family: one of FAMILIES.
        source: the rows.
        cuts: of a layer.

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
        pieces += make(source, layer, cuts(layer))
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


def _scaled(
    stem: str, scale: str, source: Source, layer: int, rows: tuple[int, int]
) -> list[Piece]:
    """Return the tensor of some rows' values, and that of their scales where they have any."""
    pieces = [_rows(f"{stem}.weight", source, layer, rows)]
    if source.record.scale_bytes:
        pieces.append(_rows(f"{stem}.{scale}", source, layer, rows, "scale"))
    return pieces


def _deepseek_v41(source: Source, layer: int, cuts: Cuts) -> list[Piece]:
    stem = f"layers.{layer}.engram.embed"
    pieces = _scaled(stem, "scale", source, layer, (0, source.num_rows(layer)))
    if source.record.facts.table_scale:
        pieces.append(_scalar(f"{stem}.scale", source, layer))
    return pieces


def row_cuts(num_rows: int, parts: int) -> list[tuple[int, int]]:
    """Cut rows into shards of ceil(rows / parts), the last one shorter (Qwen3.8-Flash-Next).

    Example:
        >>> row_cuts(10, 4)
        [(0, 3), (3, 6), (6, 9), (9, 10)]
    """
    step = math.ceil(num_rows / parts)
    return [(start, min(start + step, num_rows)) for start in range(0, num_rows, step)]


def _qwen(source: Source, layer: int, cuts: Cuts) -> list[Piece]:
    place = f"model.language_model.layers.{layer}.ple.ple_embedding"
    stem = f"{place}.ngram_embedding"
    pieces = []
    for number, rows in enumerate(cuts.shards):
        shard = f"{stem}.shard_{number}"
        pieces += _scaled(shard, "weight_scale", source, layer, rows)
        if source.record.dtype == "nvfp4":
            scale = np.float32(source.table_scale(layer) or 1.0).tobytes()
            pieces.append(Piece(f"{shard}.weight_scale_2", "F32", (), layer, value=scale))
    if source.record.dtype == "f8_e4m3_scalar":
        pieces.append(_scalar(f"{stem}.weight_scale", source, layer))
    for name, numbers in cuts.constants.items():
        data = np.array(numbers, np.int64).tobytes()
        pieces.append(Piece(f"{place}.{name}", "I64", (len(numbers),), layer, value=data))
    return pieces


def _one_tensor_a_head(template: str) -> Callable[[Source, int, Cuts], list[Piece]]:
    def make(source: Source, layer: int, cuts: Cuts) -> list[Piece]:
        heads = cuts.heads
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
        pieces: list[Piece] = []
        for number, rows in enumerate(heads):
            stem = template.format(number).removesuffix(".weight")
            pieces += _scaled(stem, "weight_scale", source, layer, rows)
        return pieces

    return make


_ROW_SCALED = (
    "int8", "int8_f16", "int8_bf16", "int4", "int4_row", "int4_row_f16", "int4_row_bf16",
    "f8_e4m3", "f8_e4m3_f32", "f8_e4m3_row", "f8_e4m3_row_bf16",
)  # fmt: skip
_V41_DTYPES = ("f8_e4m3", *(one for one in _ROW_SCALED if one != "f8_e4m3"), "f8_e4m3_scalar")
_HEAD_DTYPES = (*sorted(_PLAIN), *_ROW_SCALED)
Make = Callable[[Source, int, Cuts], list[Piece]]
FAMILIES: dict[str, tuple[Sequence[str], Make]] = {
    "deepseek-v41": ((*_V41_DTYPES, *_PLAIN), _deepseek_v41),
    "qwen-ple": (("f8_e4m3_scalar", "nvfp4", *_PLAIN, *_ROW_SCALED), _qwen),
    "longcat": (_HEAD_DTYPES, _one_tensor_a_head("model.ngram_embeddings.embedders.{}.weight")),
    "longcat-causal": (_HEAD_DTYPES, _one_tensor_a_head("model.oe_embed_tokens{}.weight")),
    "over-encoding": (_HEAD_DTYPES, _one_tensor_a_head("model.oe_embeddings.{}.weight")),
}
