"""How a row of a GGUF table lies: a dtype of ours, bytes with scales beside them, or packed."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import ConfigError, FormatError
from engramctl.gguf.header import GgufTensor
from engramctl.gguf.types import I8, described, row_bytes, type_name
from engramctl.storage.reading.packing import Packing
from engramctl.storage.record.codecs import decode
from engramctl.storage.record.codecs_k import READ_ONLY
from engramctl.storage.record.record import BLOCK_VALUES, RecordSpec

_DTYPES = {0: "f32", 1: "f16", 2: "q4_0", 8: "q8_0", 20: "iq4_nl", 30: "bf16"}  # ggml's numbers
_FLOATS = {0: "F32", 1: "F16", 30: "BF16"}
Values = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass(frozen=True)
class RowForm:
    """How a table's rows lie.

    Attributes:
        name: in ggml's words.
        record: how they are stored once they are read.
        weight_bytes: bytes of a row in the table's tensor.
        scale_bytes: bytes of a row in the tensor of its scales; 0 without one.
        packing: of rows that are widened when they are read.
    """

    name: str
    record: RecordSpec
    weight_bytes: int
    scale_bytes: int = 0
    packing: Packing | None = None


def row_form(table: GgufTensor, scale: GgufTensor | None) -> RowForm:
    """Return how a table's rows lie, by its type and that of its scales.

    Args:
        table: the tensor of the rows.
        scale: the tensor of their scales, where the file has one by the table's name.

    Raises:
        FormatError: a type that cannot be read, or a width that it cannot have.
    """
    columns, name = table.shape[0], type_name(table.kind)
    try:
        if table.kind in _DTYPES:
            record = RecordSpec(_DTYPES[table.kind], columns)
            return RowForm(name, record, record.record_bytes)
        if name in READ_ONLY:
            width = row_bytes(table.kind, columns)
            if width is None:
                raise _no_table(table, f"a multiple of {READ_ONLY[name].block_values} columns")
            return _packed(name, columns, width, 0, READ_ONLY[name].values)
        if table.kind == I8:
            return _bytes(table) if scale is None else _scaled(table, scale)
    except ConfigError as error:
        raise FormatError(
            f"'{table.name}' cannot be a table", facts={"file": table.path, **error.facts}
        ) from error
    raise FormatError(
        f"'{table.name}' is of a type that cannot be read",
        facts={
            "file": table.path,
            "expected": ", ".join([*map(type_name, _DTYPES), *READ_ONLY, "I8"]),
            "found": name,
        },
        hint="fetch the model in one of those types",
    )


def _packed(name: str, columns: int, weight: int, scale: int, values: Values) -> RowForm:
    packing = Packing(name, weight + scale, values)
    return RowForm(name, RecordSpec("f32", columns), weight, scale, packing)


def _bytes(table: GgufTensor) -> RowForm:
    """Bytes alone: e4m3 values and behind them an e8m0 scale for each 32, 264 for 256."""
    columns = table.shape[0]
    blocks, rest = divmod(columns, BLOCK_VALUES + 1)
    if rest:
        raise _no_table(
            table, "a tensor of scales beside it, or rows of 33 bytes for each 32 values (264)"
        )
    record = RecordSpec("f8_e4m3", blocks * BLOCK_VALUES)
    return RowForm("I8, e4m3 with e8m0 scales", record, record.record_bytes)


def _scaled(table: GgufTensor, scale: GgufTensor) -> RowForm:
    """Bytes with scales beside them: e4m3 where those are bytes, else int8."""
    columns = table.shape[0]
    rows = math.prod(table.shape[1:])
    groups, rest = divmod(math.prod(scale.shape), max(1, rows))
    if not groups or rest or columns % groups:
        raise _no_scales(table, scale)
    if scale.kind == I8:
        record = RecordSpec("f8_e4m3", columns)
        if groups != record.scale_bytes:
            raise _no_scales(table, scale)
        return RowForm("I8, e4m3 with e8m0 scales", record, columns, groups)
    if scale.kind not in _FLOATS:
        raise _no_scales(table, scale)
    float_name = _FLOATS[scale.kind]
    if float_name == "F32" and groups == 1:
        record = RecordSpec("int8", columns)
        return RowForm("I8 with F32 scales", record, columns, record.scale_bytes)
    factor = RecordSpec(float_name.lower(), groups)
    values = _int8_values(columns, factor)
    name = f"I8 with {groups} {float_name} scales a row"
    return _packed(name, columns, columns, factor.record_bytes, values)


def _int8_values(columns: int, factor: RecordSpec) -> Values:
    def values(rows: NDArray[np.uint8]) -> NDArray[np.float32]:
        codes = np.ascontiguousarray(rows[:, :columns]).view(np.int8).astype(np.float32)
        factors = decode(factor, np.ascontiguousarray(rows[:, columns:]))
        with np.errstate(invalid="ignore", over="ignore"):  # the reader looks for what is no number
            scaled = codes.reshape(len(rows), factor.row_dim, -1) * factors[:, :, None]
        return np.asarray(scaled.reshape(len(rows), -1), np.float32)

    return values


def _no_table(table: GgufTensor, expected: str) -> FormatError:
    return FormatError(
        f"'{table.name}' cannot be a table",
        facts={
            "file": table.path,
            "expected": expected,
            "found": described(table),
        },
    )


def _no_scales(table: GgufTensor, scale: GgufTensor) -> FormatError:
    return FormatError(
        f"'{scale.name}' cannot be the scales of '{table.name}'",
        facts={
            "file": scale.path,
            "expected": f"of {table.shape[0]:,} columns: one I8 for each {BLOCK_VALUES}, or the "
            "same number of F32, F16 or BF16 in each row",
            "found": described(scale),
        },
        hint="fetch the model again",
    )
