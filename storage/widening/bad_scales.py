"""Whether a row's scales are finite, by address; the plain definition is `scale_check`."""

from typing import Any

import numpy as np
from numba import carray

from engramctl.runtime.kernel_cache import njit
from engramctl.storage.record.dtypes import BY_NAME
from engramctl.storage.record.intrinsics import as_pointer
from engramctl.storage.widening.widen_row import DTYPE_CODES

_F8, _NVFP4, _Q8_0, _Q4_0, _IQ4_NL = (
    DTYPE_CODES[name] for name in ("f8_e4m3", "nvfp4", "q8_0", "q4_0", "iq4_nl")
)
_F32_SCALES, _F16_SCALES, _BF16_SCALES = (
    tuple(code for name, code in DTYPE_CODES.items() if BY_NAME[name].scale_tensor == kind)
    for kind in ("F32", "F16", "BF16")
)


@njit(nogil=True, cache=True)
def has_bad_scale(code: Any, weight: Any, scale: Any, weight_bytes: Any, scale_bytes: Any) -> Any:
    """Return whether a row has a scale that is NaN or infinite.

    Args:
        code: one of DTYPE_CODES.
        weight: address of its value bytes.
        scale: address of its scale bytes.
        weight_bytes: of a row.
        scale_bytes: of a row.
    """
    if code in (_F8, _NVFP4):
        bits = 0xFF if code == _F8 else 0x7F  # NaN, but for a sign
        small = carray(as_pointer(scale), (scale_bytes,), np.uint8)
        bad = 0
        for k in range(scale_bytes):
            bad += (small[k] & bits) == bits
        return bad > 0
    if code in _F32_SCALES:
        return _bad_floats(scale, 4, scale_bytes >> 2)
    if code in _BF16_SCALES:
        return _bad_floats(scale, 2, scale_bytes >> 1)
    if code in _F16_SCALES:
        return _bad_halves(scale, 2, scale_bytes >> 1)
    if code == _Q8_0:
        return _bad_halves(weight, 34, weight_bytes // 34)
    if code in (_Q4_0, _IQ4_NL):
        return _bad_halves(weight, 18, weight_bytes // 18)
    return False


@njit(inline="always")
def _bad_halves(first: Any, step: Any, count: Any) -> Any:
    data = carray(as_pointer(first), (count * step,), np.uint8)
    bad = 0
    for k in range(count):
        bad += (data[k * step + 1] & 0x7C) == 0x7C
    return bad > 0


@njit(inline="always")
def _bad_floats(first: Any, step: Any, count: Any) -> Any:
    """Of float32, or bfloat16, which is its upper half: whether all exponent bits are set."""
    data = carray(as_pointer(first), (count * step,), np.uint8)
    bad = 0
    for k in range(1, count + 1):
        bad += (data[k * step - 1] & 0x7F) == 0x7F and (data[k * step - 2] & 0x80) == 0x80
    return bad > 0
