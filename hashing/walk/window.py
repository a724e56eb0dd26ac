"""The window: which canonical ids a position sees, and where look-back stops.

Two values mark positions that hold no id. `DEAD` is a masked token (padding, image span) in schemes
that know masks. `START` lies before the sequence; a caller may use it to pad a batch on the left or
a history that is shorter than the scheme's. `OUTSIDE` is an id that no vocabulary has, whatever the
rule for negative ones: what stands for an id that is lost, or that int64 cannot hold.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

DEAD = -1
START = -(2**31)
OUTSIDE = 2**63 - 1

NEGATIVE_RULES = ("refuse", "dead", "pass", "fill")


@dataclass(frozen=True)
class Boundary:
    """Where look-back ends.

    Attributes:
        fill: canonical id that stands for every position from the first stop on.
        stop: canonical ids that end look-back when met at distance >= 1.
        block: ids that, as the current token, suppress look-back; they read as `fill` themselves
            when they are DEAD.
        negative: what a negative token id means: `refuse`, `dead` (only -1), `pass` (hashed as
            it is, as engram_demo_v1.py does), or `fill` (-1 alone: the token reads as the fill id
            would in its place, as Qwen4Exp does with masked positions).
    """

    fill: int
    stop: tuple[int, ...] = ()
    block: tuple[int, ...] = ()
    negative: str = "refuse"


def window(
    ids_BS: NDArray[np.int64], boundary: Boundary, max_order: int
) -> list[NDArray[np.int64]]:
    """Walk back from every position (the plain reference).

    Causal and sticky: from the first stop met going back, every further id reads as `fill`.

    Args:
        ids_BS: canonical ids, int64 (B, max_order - 1 + T): exactly max_order - 1 positions of
            history, START where there is none, then the T positions asked for.
        boundary: fill, stop set, block set.
        max_order: N.

    Returns:
        N arrays int64 (B, T): the ids at distances 0..N-1.
    """
    context = max_order - 1
    current_BT = ids_BS[:, context:]
    hole_BT = (current_BT == START) | (boundary.negative == "dead") & (current_BT == DEAD)
    blocked_BT = hole_BT | np.isin(current_BT, boundary.block)
    walk = [np.where(hole_BT, boundary.fill, current_BT)]
    for distance in range(1, max_order):
        seen_BT = ids_BS[:, context - distance : ids_BS.shape[1] - distance]
        blocked_BT = blocked_BT | (seen_BT == START) | np.isin(seen_BT, boundary.stop)
        walk.append(np.where(blocked_BT, boundary.fill, seen_BT))
    return walk
