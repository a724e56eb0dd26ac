"""Whether the machine was too busy for the demo's figures to mean much."""

from collections.abc import Sequence
from typing import Any

# On idle machines the decode loops of the demo tell 1 to 9 %, and the model without memory takes
# the same in all of them, to 6 %; with other work on the same cores it was 24 to 118 %, and 42 %.
# Prefill loops are left out: their ten samples and fewer tell 12 % on a quiet machine too.
NOISY_PERCENT = 10


def noise_warnings(results: Sequence[dict[str, Any]]) -> list[str]:
    """Return why the figures of these results of `bench` are doubtful; nothing where they are not.

    Two signs: a decode loop that tells no difference below NOISY_PERCENT, and a model without
    memory, the same work in every loop, that took so much longer in one loop than in another.
    """
    cases = [
        case
        for result in results
        for case in result["cases"]
        if case["phase"] == "decode" and case["p50_ns"] is not None
    ]
    widest = max((case["resolution_percent"] or 0 for case in cases), default=0)
    without = [case["p50_ns"] for case in cases if case["tier"] == "none"]
    apart = 100 * (max(without) / min(without) - 1) if without else 0
    signs = []
    if widest > NOISY_PERCENT:
        signs.append(f"two copies of one arm may differ by {widest:.0f} %")
    if apart > NOISY_PERCENT:
        signs.append(f"the model without memory took {apart:.0f} % longer at one time than another")
    if not signs:
        return []
    return [f"this machine was busy: {', '.join(signs)}; try again when it is idle"]
