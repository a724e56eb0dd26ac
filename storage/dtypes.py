"""The dtypes rows are stored in: how many bytes, which scales, and what safetensors calls them.

`docs/format.md` says the same byte by byte; `engramctl.storage.codecs` turns bytes into values.
"""

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
    """

    name: str
    tensor: str
    block_values: int
    block_bytes: int
    scale_tensor: str | None = None
    block_scale_bytes: int = 0
    row_scale_bytes: int = 0
    table_scale: bool = False

    @property
    def item_bytes(self) -> int:
        """Bytes of one item of the values' tensor."""
        return _ITEM_BYTES[self.tensor]

    @property
    def scale_item_bytes(self) -> int:
        """Bytes of one item of the scales' tensor."""
        return _ITEM_BYTES[self.scale_tensor or "U8"]


_ALL = (
    Dtype("f32", "F32", 1, 4),
    Dtype("bf16", "BF16", 1, 2),
    Dtype("f16", "F16", 1, 2),
    Dtype("f8_e4m3", "F8_E4M3", 32, 32, "F8_E8M0", 1),
    Dtype("f8_e4m3_scalar", "F8_E4M3", 1, 1, table_scale=True),
    Dtype("int8", "I8", 1, 1, "F32", row_scale_bytes=4),
    Dtype("int4", "U8", 32, 16, "F16", 2),
    Dtype("int4_affine", "U8", 32, 16, "F16", 4),
    Dtype("nvfp4", "U8", 16, 8, "F8_E4M3", 1, table_scale=True),
    Dtype("q8_0", "U8", 32, 34),
    Dtype("q4_0", "U8", 32, 18),
    Dtype("iq4_nl", "U8", 32, 18),
)
BY_NAME = {dtype.name: dtype for dtype in _ALL}
DTYPES = tuple(BY_NAME)
