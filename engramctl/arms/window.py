"""What one sample reads: tokens, and the ones before them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Window:
    """Tokens of one sample, with the ones before them.

    Attributes:
        history_BC: int64 (B, C), C = max_order - 1.
        token_ids_BT: int64 (B, T).
    """

    history_BC: NDArray[np.int64]
    token_ids_BT: NDArray[np.int64]
