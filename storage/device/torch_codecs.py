"""Records -> values with torch operations, on any device, as `storage.record.codecs` has it.

Nothing here waits for the device: small tables of values are copied to it once, scales go along as
numbers.
"""

from collections.abc import Callable
from functools import cache

import torch

from engramctl.storage.record.codecs import E2M1_VALUES
from engramctl.storage.record.codecs_ggml import IQ4_NL
from engramctl.storage.record.float_scales import FLOAT_SCALED
from engramctl.storage.record.record import RecordSpec


def widen(spec: RecordSpec, records: torch.Tensor, table_scale: float) -> torch.Tensor:
    """Return the values of records.

    Args:
        spec: how they are stored.
        records: uint8 (n, record_bytes), contiguous.
        table_scale: float32 that scales the layer, 1 for dtypes without one.

    Returns:
        float32, bfloat16 or float16 (n, row_dim), exact.
    """
    if not len(records):  # there is no byte to view as anything
        return torch.empty((0, spec.row_dim), dtype=torch.float32, device=records.device)
    values = records[:, : spec.weight_bytes].contiguous()
    scales = records[:, spec.weight_bytes :]  # of one record contiguous, yet at any address
    scales = scales.clone(memory_format=torch.contiguous_format)
    if spec.dtype in FLOAT_SCALED:
        factors = scales.view(_FLOATS[spec.facts.scale_tensor or ""]).to(torch.float32)
        return _scaled(_NUMBERS[FLOAT_SCALED[spec.dtype]](values), factors)
    match spec.dtype:
        case "f32":
            return values.view(torch.float32)
        case "bf16":
            return values.view(torch.bfloat16)
        case "f16":
            return values.view(torch.float16)
        case "f8_e4m3":
            return _scaled(_e4m3(values), _e8m0(scales))
        case "f8_e4m3_scalar":
            return _e4m3(values) * table_scale
        case "int4":
            halves = scales.view(torch.float16).to(torch.float32)
            return _scaled(_nibbles(values).to(torch.float32) - 8, halves)
        case "int4_affine":
            halves = scales.view(torch.float16).to(torch.float64).repeat_interleave(32, dim=1)
            factors, biases = halves.chunk(2, dim=1)
            return (_nibbles(values).to(torch.float64) * factors + biases).to(torch.float32)
        case "nvfp4":
            factors = _e4m3(scales) * table_scale
            return _scaled(_looked_up("e2m1", _nibbles(values)), factors)
    return _ggml(spec.dtype, values)


def _scaled(codes: torch.Tensor, factors: torch.Tensor) -> torch.Tensor:
    """Multiply codes, (n, row_dim), by the scales of their groups, (n, groups)."""
    return (codes.view(*factors.shape, -1) * factors[:, :, None]).view(codes.shape)


def _ggml(dtype: str, values: torch.Tensor) -> torch.Tensor:
    blocks = values.view(-1, 34 if dtype == "q8_0" else 18)
    factors = blocks[:, :2].contiguous().view(torch.float16).to(torch.float32)
    codes = blocks[:, 2:].contiguous()
    if dtype == "q8_0":
        steps = codes.view(torch.int8).to(torch.float32)
    else:
        numbers = torch.cat([codes & 15, codes >> 4], dim=1)
        steps = numbers.to(torch.float32) - 8 if dtype == "q4_0" else _looked_up("iq4_nl", numbers)
    return (steps * factors).view(len(values), -1)


_TABLES = {"e2m1": E2M1_VALUES, "iq4_nl": IQ4_NL}


def _looked_up(table: str, codes: torch.Tensor) -> torch.Tensor:
    """Return a table's value for each code."""
    return table_on(table, codes.device)[codes.long()]


@cache
def table_on(table: str, device: torch.device) -> torch.Tensor:
    """Return a table of values on a device, copied there once."""
    with torch.inference_mode(False):
        return torch.from_numpy(_TABLES[table]).to(device)


def _e4m3(data: torch.Tensor) -> torch.Tensor:
    return data.view(torch.float8_e4m3fn).to(torch.float32)


def _e8m0(data: torch.Tensor) -> torch.Tensor:
    """Widen 2^(byte - 127): a float32's exponent field, but for 0 (subnormal) and 255 (NaN)."""
    wide = data.to(torch.int32)
    bits = torch.where(wide == 0, 0x00400000, wide << 23)
    return torch.where(wide == 255, 0x7FC00000, bits).view(torch.float32)


def _nibbles(data: torch.Tensor) -> torch.Tensor:
    """Return the nibbles of bytes, the low one first."""
    return torch.stack([data & 15, data >> 4], dim=2).flatten(1)


_FLOATS = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
_NUMBERS: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "int8": lambda values: values.view(torch.int8).to(torch.float32),
    "int4": lambda values: _nibbles(values).to(torch.float32) - 8,
    "e4m3": _e4m3,
}
