"""The dtypes rows are stored in: how many bytes, which scales, and what safetensors calls them.

`docs/format.md` says the same byte by byte; `engramctl.storage.record.codecs` turns bytes into
values. A new dtype is a line here and a codec there; then its place in `group_steps`, `widen_row`,
`scale_check` and `bad_scales`, in `torch_codecs` and `triton_gather` of `storage.device` (each has
a test over all dtypes), and the page.
"""

import math
from dataclasses import dataclass

_ITEM_BYTES = {"F32": 4, "F16": 2, "BF16": 2, "F8_E4M3": 1, "F8_E8M0": 1, "I8": 1, "U8": 1}


@dataclass(frozen=True)
class Dtype:
    """One way to store a row: blocks of values, then scales.

    Attributes:
        name: as in the manifest.
        tensor: the safetensors dtype of the values.
        block_values: values in a block; a row has a whole number of blocks.
        block_bytes: bytes of a block's values, with the scales that lie among them (GGUF's types).
        scale_tensor: the safetensors dtype of the scales, or None.
        block_scale_bytes: bytes of a block's scales.
        row_scale_bytes: bytes of the scales that a whole row shares.
        table_scale: whether one float32 scales the whole table; the manifest has it.
        limit: finite values lie below it in size: from here on rounding, or a scale, would be
            infinite. Where the exact bound depends on other values of a block, a lower one.
        holds_non_finite: whether NaN and infinities may be among the values.
    """

    name: str
    tensor: str
    block_values: int
    block_bytes: int
    scale_tensor: str | None = None
    block_scale_bytes: int = 0
    row_scale_bytes: int = 0
    table_scale: bool = False
    limit: float = math.inf
    holds_non_finite: bool = False

    @property
    def item_bytes(self) -> int:
        """Bytes of one item of the values' tensor."""
        return _ITEM_BYTES[self.tensor]

    @property
    def scale_item_bytes(self) -> int:
        """Bytes of one item of the scales' tensor."""
        return _ITEM_BYTES[self.scale_tensor or "U8"]


_HALF = 65520.0  # float16 rounds to infinity from here on
_FLOAT = 2.0**127  # below, no product of a scale and a value leaves float32
_ALL = (
    Dtype("f32", "F32", 1, 4, holds_non_finite=True),
    Dtype("bf16", "BF16", 1, 2, limit=2.0**128 - 2.0**119, holds_non_finite=True),
    Dtype("f16", "F16", 1, 2, limit=_HALF, holds_non_finite=True),
    Dtype("f8_e4m3", "F8_E4M3", 32, 32, "F8_E8M0", 1, limit=_FLOAT, holds_non_finite=True),
    Dtype("f8_e4m3_scalar", "F8_E4M3", 1, 1, table_scale=True, limit=_FLOAT, holds_non_finite=True),
    Dtype("int8", "I8", 1, 1, "F32", row_scale_bytes=4, limit=_FLOAT),
    Dtype("int8_f16", "I8", 1, 1, "F16", row_scale_bytes=2, limit=127 * _HALF),
    Dtype("int8_bf16", "I8", 1, 1, "BF16", row_scale_bytes=2, limit=_FLOAT),
    Dtype("int4", "U8", 32, 16, "F16", 2, limit=7 * _HALF),
    Dtype("int4_row", "U8", 32, 16, "F32", row_scale_bytes=4, limit=_FLOAT),
    Dtype("int4_row_f16", "U8", 32, 16, "F16", row_scale_bytes=2, limit=7 * _HALF),
    Dtype("int4_row_bf16", "U8", 32, 16, "BF16", row_scale_bytes=2, limit=_FLOAT),
    Dtype("f8_e4m3_f32", "F8_E4M3", 32, 32, "F32", 4, limit=_FLOAT),
    Dtype("f8_e4m3_row", "F8_E4M3", 1, 1, "F32", row_scale_bytes=4, limit=_FLOAT),
    Dtype("f8_e4m3_row_bf16", "F8_E4M3", 1, 1, "BF16", row_scale_bytes=2, limit=_FLOAT),
    Dtype("int4_affine", "U8", 32, 16, "F16", 4, limit=_HALF),
    Dtype("nvfp4", "U8", 16, 8, "F8_E4M3", 1, table_scale=True, limit=_FLOAT),
    Dtype("q8_0", "U8", 32, 34, limit=127 * _HALF),
    Dtype("q4_0", "U8", 32, 18, limit=8 * _HALF),
    Dtype("iq4_nl", "U8", 32, 18, limit=127 * _HALF),
)
BY_NAME = {dtype.name: dtype for dtype in _ALL}
DTYPES = tuple(BY_NAME)
