"""Scales that cannot be: NaN or infinite. Other engines read them as fluent, wrong output."""

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.record.float_scales import FLOAT_SCALED, widened
from engramctl.storage.record.record import RecordSpec

_NAN_E8M0 = 255
_NAN_E4M3 = 0x7F


def first_bad_scale(spec: RecordSpec, records: NDArray[np.uint8]) -> int:
    """Return the first of some records that has a scale which is no finite number, or -1.

    Args:
        spec: how they are stored.
        records: uint8 (n, record_bytes).

    Example:
        >>> records = np.full((3, 33), 127, np.uint8)
        >>> records[1, 32] = 255
        >>> first_bad_scale(RecordSpec("f8_e4m3", 32), records)
        1
    """
    scales = _scales(spec, records)
    if scales is None:
        return -1
    bad = np.flatnonzero(scales.reshape(len(records), -1).any(axis=1))
    return int(bad[0]) if len(bad) else -1


def _scales(spec: RecordSpec, records: NDArray[np.uint8]) -> NDArray[np.bool_] | None:
    """Return which scales are bad, row by row; None for dtypes without scales in their rows."""
    behind = records[:, spec.weight_bytes :]
    if spec.dtype == "f8_e4m3":
        return np.asarray(behind == _NAN_E8M0)
    if spec.dtype == "nvfp4":
        return np.asarray((behind & 0x7F) == _NAN_E4M3)
    if spec.dtype in FLOAT_SCALED:
        scales = np.ascontiguousarray(behind)
        return ~np.isfinite(widened(scales, spec.facts.scale_tensor or ""))
    if spec.dtype in ("int4", "int4_affine"):
        return ~np.isfinite(np.ascontiguousarray(behind).view(np.float16))
    if spec.dtype in ("q8_0", "q4_0", "iq4_nl"):
        blocks = records.reshape(len(records), -1, spec.facts.block_bytes)[:, :, :2]
        return ~np.isfinite(np.ascontiguousarray(blocks).view(np.float16))
    return None
