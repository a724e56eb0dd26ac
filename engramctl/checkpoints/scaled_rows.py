"""Values and the scales that belong to them -> how a row is stored, and where.

Which dtype a table is follows from its values' type and the type and shape of its scales.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from engramctl.checkpoints.family_names import SCALES, WHOLE_SCALE
from engramctl.checkpoints.stacked_tensors import need, scalar, stacked
from engramctl.errors import ConfigError, FormatError
from engramctl.model_folder.joined import TableRows, joined
from engramctl.model_folder.tensors import Parts
from engramctl.storage.files.safetensors_header import Tensor
from engramctl.storage.reading.region import Region
from engramctl.storage.record.record import BLOCK_VALUES, RecordSpec

_PLAIN = {"F32": "f32", "BF16": "bf16", "F16": "f16"}
_VALUES_AN_ITEM = {"F8_E4M3": 1, "I8": 1, "U8": 2, "I32": 8}
# by the values' type and the scales': a scale for some values of a row, one for a row
_BLOCKS = {
    ("F8_E4M3", "F8_E8M0"): ("f8_e4m3", BLOCK_VALUES),
    ("F8_E4M3", "U8"): ("f8_e4m3", BLOCK_VALUES),
    ("F8_E4M3", "F32"): ("f8_e4m3_f32", BLOCK_VALUES),
    ("U8", "F16"): ("int4", BLOCK_VALUES),
    ("I32", "F16"): ("int4", BLOCK_VALUES),
    ("U8", "F8_E4M3"): ("nvfp4", 16),
}
_ROWS = {
    ("F8_E4M3", "F32"): "f8_e4m3_row",
    ("F8_E4M3", "BF16"): "f8_e4m3_row_bf16",
    ("I8", "F32"): "int8",
    ("I8", "F16"): "int8_f16",
    ("I8", "BF16"): "int8_bf16",
    **{(kind, "F32"): "int4_row" for kind in ("U8", "I32")},
    **{(kind, "F16"): "int4_row_f16" for kind in ("U8", "I32")},
    **{(kind, "BF16"): "int4_row_bf16" for kind in ("U8", "I32")},
}


@dataclass(frozen=True)
class ScaledRows:
    """A table in place.

    Attributes:
        record: how a row is stored.
        regions: values, then scales.
        factor: of the whole table, for dtypes that have one.
    """

    record: RecordSpec
    regions: tuple[Region, ...]
    factor: float | None = None


def scaled_rows(
    stem: str,
    places: Sequence[str],
    tensors: Parts,
    wanted: Sequence[TableRows | None],
    usual: str,
) -> ScaledRows:
    """Return a table whose values lie in one tensor or in several, with its scales.

    Args:
        stem: of the table's name.
        places: stems of the tensors whose rows follow each other; the same as `stem` for one.
        tensors: of the checkpoint.
        wanted: rows of each of them, as the scheme has it; used where ranks have parts.
        usual: what the family calls its scales.

    Raises:
        FormatError: scales are missing or too many, or values and scales do not go together.
    """
    parts = [_weight(tensors, place) for place in places]
    values = [one for part, rows in zip(parts, wanted, strict=True) for one in joined(part, rows)]
    first = values[0]
    columns = columns_of(first)
    found = [_scales(tensors, place) for place in places]
    if stem not in places and not any(found):
        found = [_scales(tensors, stem)]
    if first.dtype in _PLAIN:
        return ScaledRows(*_plain(values, columns, [one for one in found if one]))
    if first.dtype not in _VALUES_AN_ITEM:
        raise _no_table(first, "F32, BF16, F16, F8_E4M3, or I8, U8 or I32 with scales")
    if not any(found):
        need(tensors, f"{stem}.{usual}", f"scales of the table's {first.dtype} values")
    for place, one in zip(places, found, strict=False):
        if not one:
            name = next(part for part in found if part)[0].name.rsplit(".", 1)[-1]
            need(tensors, f"{place}.{name}", "scales, as the other shards have them")
    whole = [part for part in found if all(_is_one(one) for one in part)]
    if first.dtype == "F8_E4M3" and len(whole) == len(found):
        record = RecordSpec("f8_e4m3_scalar", columns)
        regions = stacked(values, 0, first.dtype, record.weight_bytes, "a table")
        return ScaledRows(record, tuple(regions), _factor(stem, found))
    sides = wanted if len(found) == len(wanted) else [None]
    scales = [
        _two_sided(one)
        for part, rows in zip(found, sides, strict=True)
        for one in joined(part, rows)
    ]
    _check_rows(values, scales)
    record = _record(first, columns, scales[0])
    regions = stacked(values, 0, first.dtype, record.weight_bytes, "a table")
    kind = scales[0].dtype
    regions += stacked(scales, record.weight_bytes, kind, record.scale_bytes, "scales")
    factor = _second(stem, places, tensors) if record.dtype == "nvfp4" else None
    return ScaledRows(record, tuple(regions), factor)


def _check_rows(values: Sequence[Tensor], scales: Sequence[Tensor]) -> None:
    rows, scaled = (sum(one.shape[0] for one in side) for side in (values, scales))
    if rows != scaled:
        raise FormatError(
            f"'{scales[0].name}' cannot be scales of the table: they are of other rows",
            facts={
                "file": scales[0].path,
                "expected": f"{rows:,} rows, or one scale of the whole table",
                "found": f"{scaled:,} rows, {scales[0].dtype} {list(scales[0].shape)}",
            },
            hint="values and scales are from different releases; fetch the checkpoint again",
        )


def _weight(tensors: Parts, place: str) -> tuple[Tensor, ...]:
    return tensors.get(f"{place}.weight") or tensors[f"{place}.weight_packed"]


def _scales(tensors: Parts, place: str) -> tuple[Tensor, ...]:
    """Return a tensor's scales under whichever name they have, or nothing."""
    names = [f"{place}.{name}" for name in SCALES if f"{place}.{name}" in tensors]
    if len(names) > 1:
        raise FormatError(
            f"'{place}' has scales twice",
            facts={"file": tensors[names[1]][0].path, "found": " and ".join(names)},
            hint="which of them count is not known; remove the others from the checkpoint",
        )
    return tensors[names[0]] if names else ()


def _plain(
    values: Sequence[Tensor], columns: int, scales: Sequence[tuple[Tensor, ...]]
) -> tuple[RecordSpec, tuple[Region, ...]]:
    first = values[0]
    if scales:
        raise FormatError(
            f"'{first.name}' cannot be a table: it is {first.dtype} and has scales",
            facts={
                "file": first.path,
                "expected": f"F8_E4M3 or integers with scales, or {first.dtype} without",
                "found": f"'{scales[0][0].name}' {scales[0][0].dtype} {list(scales[0][0].shape)}",
            },
            hint="whether the values were scaled already is not known; convert the tables again",
        )
    record = _spec(_PLAIN[first.dtype], columns, first)
    return record, tuple(stacked(values, 0, first.dtype, record.weight_bytes, "a table"))


def _record(values: Tensor, columns: int, scales: Tensor) -> RecordSpec:
    """Return the dtype that values and scales, both of some rows, make together."""
    row_dim = columns * _VALUES_AN_ITEM[values.dtype]
    kinds = values.dtype, scales.dtype
    block, size = _BLOCKS.get(kinds, ("", 0))
    if block and row_dim % size == 0 and scales.shape[1] == row_dim // size:
        return _spec(block, row_dim, values)
    if kinds in _ROWS and scales.shape[1] == 1:
        return _spec(_ROWS[kinds], row_dim, values)
    known = [f"{kind} [rows, {row_dim // n}]" for (value, kind), (_, n) in _BLOCKS.items()
             if value == values.dtype]  # fmt: skip
    known += [f"{kind} [rows, 1]" for value, kind in _ROWS if value == values.dtype]
    raise FormatError(
        f"'{scales.name}' cannot be scales of {values.dtype} rows of {row_dim:,} values",
        facts={
            "file": scales.path,
            "expected": ", ".join(known),
            "found": f"{scales.dtype} {list(scales.shape)}",
        },
    )


def _spec(dtype: str, row_dim: int, tensor: Tensor) -> RecordSpec:
    try:
        return RecordSpec(dtype, row_dim)
    except ConfigError as error:
        raise FormatError(
            f"'{tensor.name}' cannot be a table of {dtype}: {error.message}",
            facts={"file": tensor.path, **error.facts},
        ) from error


def _two_sided(scales: Tensor) -> Tensor:
    """Return scales of rows with columns: [rows] is [rows, 1]."""
    return replace(scales, shape=(*scales.shape, 1)) if len(scales.shape) == 1 else scales


def _is_one(tensor: Tensor) -> bool:
    return all(size == 1 for size in tensor.shape)


def _factor(stem: str, found: Sequence[Sequence[Tensor]]) -> float:
    factors = {scalar(one) for part in found for one in part}
    if len(factors) > 1:
        raise FormatError(
            f"the shards of '{stem}' have scales that differ",
            facts={"expected": "one scale of the table", "found": sorted(factors)[:4]},
        )
    return factors.pop()


def _second(stem: str, places: Sequence[str], tensors: Mapping[str, tuple[Tensor, ...]]) -> float:
    """Return the one float32 of an NVFP4 table: its own, or the same in every shard."""
    if f"{stem}.{WHOLE_SCALE}" in tensors:
        return _factor(stem, [tensors[f"{stem}.{WHOLE_SCALE}"]])
    return _factor(
        stem,
        [need(tensors, f"{place}.{WHOLE_SCALE}", "the scale of the table") for place in places],
    )


def columns_of(tensor: Tensor) -> int:
    """Return the columns of a table.

    Raises:
        FormatError: it has no rows and columns.
    """
    if len(tensor.shape) != 2 or not all(tensor.shape):
        raise _no_table(tensor, "rows and columns")
    return tensor.shape[1]


def _no_table(tensor: Tensor, expected: str) -> FormatError:
    return FormatError(
        f"'{tensor.name}' cannot be a table",
        facts={
            "file": tensor.path,
            "expected": expected,
            "found": f"{tensor.dtype} {list(tensor.shape)}",
        },
    )
