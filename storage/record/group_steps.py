"""What the groups of int8, int4, int4_affine and nvfp4 rows are divided by (docs/format.md)."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.record.record import e4m3_values, to_e4m3_bytes

E2M1_MAX = 6.0
Floats = NDArray[np.float32]
Bytes = NDArray[np.uint8]


class GroupSteps(NamedTuple):
    """What a row's groups are divided by, for int8, int4, int4_affine and nvfp4.

    Attributes:
        steps: float64 (n, groups), 0 where a group is all zeros.
        biases: what is subtracted first, float32 (n, groups), or None.
        scales: as they are stored, uint8 (n, scale_bytes).
    """

    steps: NDArray[np.float64]
    biases: Floats | None
    scales: Bytes


def group_steps(
    dtype: str, low: Floats, high: Floats, largest: Floats, table_scale: np.float32
) -> GroupSteps:
    """Return the steps of groups, given their extremes.

    Args:
        dtype: one of these four.
        low: smallest value of each group, float32 (n, groups); finite, as the next two.
        high: largest value.
        largest: largest absolute value.
        table_scale: of the layer.
    """
    rows = len(largest)
    low, high, largest = (one + np.float32(0) for one in (low, high, largest))  # no zero has a sign
    if dtype == "int8":
        steps = (largest / np.float32(127)).astype(np.float32)
        return GroupSteps(steps.astype(np.float64), None, _as_bytes(steps, rows))
    if dtype == "nvfp4":
        scales = to_e4m3_bytes(largest.astype(np.float64) / E2M1_MAX / table_scale)
        return GroupSteps((e4m3_values()[scales] * table_scale).astype(np.float64), None, scales)
    if dtype == "int4":
        halves = (largest / np.float32(7)).astype(np.float16)
        return GroupSteps(halves.astype(np.float64), None, _as_bytes(halves, rows))
    halves = ((high - low) / np.float32(15)).astype(np.float16)
    biases = low.astype(np.float16)
    both = _as_bytes(np.concatenate([halves, biases], axis=1), rows)
    return GroupSteps(halves.astype(np.float64), biases.astype(np.float32), both)


def _as_bytes(data: NDArray[np.generic], rows: int) -> Bytes:
    return np.ascontiguousarray(data).view(np.uint8).reshape(rows, -1)
