"""What a case says of rows that were not read from the table: cached, or in an n-gram's record."""

import statistics

from engramctl.arms.arm import Arm
from engramctl.results.document import KEPT, SAVED, Case
from engramctl.results.states import TRAFFIC


def give_saved(case: Case, arm: Arm) -> None:
    """Fill in what was saved a sample, and what the store keeps; nothing where it keeps nothing.

    Args:
        case: `tokens_before` is filled after traffic; over ssd, `saved` and `kept` too.
        arm: that was measured.
    """
    if arm.subject is None:
        return
    if case.cache == TRAFFIC and arm.rows_before is not None and arm.rows:
        case.tokens_before = round(arm.rows_before * case.tokens / arm.rows)
    if case.mode != "direct":
        return
    stats = arm.subject.store.stats().to_dict()
    case.saved = {
        name: statistics.fmean(arm.counted[name]) if arm.counted[name] else None for name in SAVED
    }
    case.kept = {name: stats[name] for name in KEPT}
