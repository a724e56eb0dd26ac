"""Rows that no tier looks up as they lie: they are widened to float32 when they are read."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Packing:
    """How the rows of a checkpoint lie that have no dtype of ours.

    Attributes:
        name: what they are, for people.
        row_bytes: bytes of a row in the file.
        values: uint8 (n, row_bytes) -> float32 (n, row_dim).
    """

    name: str
    row_bytes: int
    values: Callable[[NDArray[np.uint8]], NDArray[np.float32]] = field(compare=False)
