"""What an arm is compared with, and whether it may be."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict

from engramctl.arms.arm import Arm
from engramctl.arms.threads import Threads
from engramctl.bench.loop_arms import LoopArms, Place
from engramctl.results.document import NONE, READY, Case, percent_over

OTHER_THREADS = "other threads"


def compare(case: Case, arms: LoopArms, place: Place, resident_tier: str) -> None:
    """Hold the case of a step against its baselines, and flag it where that is not fair.

    Args:
        case: of the arm at `place`; its `against` and `flags` are filled.
        arms: of the loop.
        place: of the arm.
        resident_tier: the baseline that costs no transfer.
    """
    bases = _baselines(place, resident_tier)
    found = {name: None if base is None else arms.timed.get(base) for name, base in bases.items()}
    case.against = {
        name: None if arm is None else percent_over(case.samples_ns, arm.samples_ns)
        for name, arm in found.items()
    }
    if any(arm is not None and arm.other_threads() for arm in (arms.timed[place], *found.values())):
        case.flags.append(OTHER_THREADS)


def _baselines(place: Place, resident_tier: str) -> Mapping[str, Place | None]:
    """Return where the baselines are; the resident tier asks for its rows when the arm does."""
    tier, issue = place
    return {
        "none_percent": None if tier == NONE else (NONE, None),
        "resident_percent": None
        if tier in (resident_tier, NONE, READY)
        else (resident_tier, issue),
        "ready_percent": None if tier in (NONE, READY) else (READY, None),
    }


def threads_of(arm: Arm) -> dict[str, int] | None:
    """Return what an arm's samples ended with; where one did not end as the run says, that."""
    seen = arm.other_threads() or next(iter(arm.threads), None)
    return None if seen is None else asdict(seen)


def unfair(cases: Sequence[Case], threads: Threads) -> list[str]:
    """Say which cases ran with other threads than the run's."""
    return [
        f"{case.name} {case.phase} on {case.tier} ({case.loop} loop) ran with "
        f"{case.threads['model']} threads of the model and {case.threads['store']} of the store, "
        f"not {threads.model} and {threads.store}: it cannot be compared"
        for case in cases
        if case.threads is not None and case.threads != asdict(threads)
    ]
