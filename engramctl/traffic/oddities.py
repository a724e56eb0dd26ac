"""What makes token ids easier than text: one filler token, or samples that come again."""

from collections.abc import Sequence

import numpy as np

from engramctl.arms.window import Window
from engramctl.traffic.trace import GENERATED

MOST_OF_ONE_TOKEN_PERCENT = 30.0  # of text we saw 4 to 8 %, of Zipf ids 10 %
LONG_WINDOW = 16  # tokens: text does not repeat so many by chance


def traffic_of(windows: Sequence[Window]) -> dict[str, float | None]:
    """Return what the token ids of a loop's samples have in common, in percent.

    Returns:
        top_token_percent: of all ids, those that are the most frequent one; repeated_percent: of
        the samples, those whose ids an earlier one had.
    """
    ids = np.concatenate([window.token_ids_BT.ravel() for window in windows])
    whole = [_bytes(window) for window in windows]
    return {
        "top_token_percent": 100 * float(np.unique(ids, return_counts=True)[1].max()) / len(ids),
        "repeated_percent": 100 * (1 - len(set(whole)) / len(whole)),
    }


def odd_tokens(windows: Sequence[Window], name: str) -> list[str]:
    """Say what is odd about the token ids of a loop's samples; generated ones are as they are.

    Args:
        windows: of the loop.
        name: of the trace.
    """
    if name in GENERATED:
        return []
    told, found = [], traffic_of(windows)
    top, repeated = found["top_token_percent"] or 0.0, found["repeated_percent"] or 0.0
    many = windows[0].token_ids_BT.size * len(windows) >= LONG_WINDOW
    if many and top > MOST_OF_ONE_TOKEN_PERCENT:
        told.append(
            f"one token id is {top:.0f} % of those read from {name}: padding reads the same rows "
            "again and again"
        )
    if windows[0].token_ids_BT.shape[1] >= LONG_WINDOW and repeated:
        told.append(
            f"{repeated:.0f} % of the prompts from {name} were read before: their rows may still "
            "be in a cache"
        )
    return told


def _bytes(window: Window) -> bytes:
    return window.history_BC.tobytes() + window.token_ids_BT.tobytes()
