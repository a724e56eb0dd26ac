"""The arms of one loop: baselines, tiers, what fetching alone takes, and a second copy of one.

A step's loop has, beside every tier at every issue point: the model without memory, the model whose
rows are ready, and of each tier a fetch without a model. So compute alone, fetch alone and both are
measured in the same rounds. Whole sequences are read without and with the memory, and once more by
a copy: a wave of them is many steps, of which the fetches are not timed apart.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from engramctl.arms.arm import Arm
from engramctl.arms.ground import Ground
from engramctl.arms.lookups import FetchArm, FollowArm, GatherArm, LookupArm
from engramctl.arms.rounds import interleave
from engramctl.arms.sequences import FollowWaveArm, SequencesArm
from engramctl.arms.step import ReadyArm, StepArm
from engramctl.arms.subject import Subject, Unmeasurable
from engramctl.arms.window import Window
from engramctl.measured.model import Models
from engramctl.ranks.measured import LISTS
from engramctl.results.document import NONE, READY
from engramctl.results.states import TRAFFIC
from engramctl.storage.tiers.tier_list import TIERS, whole_tier
from engramctl.sweep.axes import RANKS, SEQUENCES
from engramctl.sweep.loops import USUAL_ISSUE, WARM_UP, Loop, num_rounds
from engramctl.sweep.options import BenchOptions

Place = tuple[str, str | None]  # a tier or baseline, and its issue point; None: it asks for nothing


@dataclass
class LoopArms:
    """Arms that are measured in turn.

    Attributes:
        timed: arms that get a case.
        fetches: by tier, the fetch of a step without its model.
        copied: which of `timed` has a second copy.
        copy: the second copy.
        followers: in the state TRAFFIC, arms that ask the other stores for what the copy reads:
            else its own would have seen more tokens than they.
    """

    timed: dict[Place, Arm]
    fetches: dict[str, Arm] = field(default_factory=dict)
    copied: Place | None = None
    copy: Arm | None = None
    followers: list[Arm] = field(default_factory=list)

    def by_windows(self, *, apart: bool) -> list[list[Arm]]:
        """Return all arms, those together that read the same windows.

        Args:
            apart: whether no two of a group may read one store: what the first leaves in its
                memory would be there for the second.
        """
        timed = [list(self.timed.values())]
        if apart:
            turns: dict[Subject | None, int] = {}
            timed = []
            for arm in self.timed.values():
                turn = 0 if arm.subject is None else turns.get(arm.subject, 0)
                turns[arm.subject] = turn + 1
                timed += [[]] if turn == len(timed) else []
                timed[turn].append(arm)
        copies = [] if self.copy is None else [self.copy, *self.followers]
        others = list(self.fetches.values()), copies
        return [*timed, *(group for group in others if group)]

    def in_turn(
        self,
        windows: Callable[[int], Sequence[Window]],
        *,
        apart: bool,
        progress: Callable[[int], None],
    ) -> None:
        """Sample all arms in turn.

        Arms with a case read the same windows, fetches and the copy others of the same trace:
        rows that one has read would be nearer for the other, in a cache of processor or disk.

        Args:
            windows: gives those of a group of arms by its number, one a round; the first are 0.
            apart: as in `by_windows`.
            progress: told of all rounds, also of those that are left when the work ends early.

        Raises:
            Unmeasurable: a subject cannot have its state: the others can be sampled without it.
        """
        arms: list[Arm] = []
        read: list[Sequence[Window]] = []
        for number, group in enumerate(self.by_windows(apart=apart)):
            arms += group
            read += [windows(number)] * len(group)
        interleave(arms, read, WARM_UP, progress)


def places(options: BenchOptions, loop: Loop, tiers: tuple[str, ...]) -> list[Place]:
    """Return where a loop measures its tiers, baselines apart."""
    issues = options.issues if loop.case == "step" else (None,)
    if loop.phase == SEQUENCES or loop.case == RANKS:
        issues = (USUAL_ISSUE,)
    return [(tier, issue) for tier in tiers for issue in issues]


def num_lists(loop: Loop) -> int:
    """Return how many lists of windows a loop takes of the trace, whatever becomes of its tiers.

    As many as groups of `LoopArms.by_windows`, where all its tiers can be measured: so what later
    loops read hangs on no machine, nor on where an earlier run ended.
    """
    if loop.case == RANKS:
        return LISTS
    timed = len(places(loop.options, loop, ("",))) if loop.cache == TRAFFIC else 1
    fetches = loop.case == "step" and loop.phase != SEQUENCES
    return timed + fetches + 1


def copied_place(arms: Mapping[Place, Arm]) -> Place | None:
    """Return which arm of a loop gets a second copy: the slowest tier, whose samples vary most.

    An overhead is a difference of two arms; a copy of the steadier one would promise too much. Of
    two tiers over the same one it is the first.
    """
    order = (NONE, READY, *TIERS)
    return max(arms, key=lambda place: order.index(whole_tier(place[0])), default=None)


def make_arms(
    options: BenchOptions,
    loop: Loop,
    subjects: Mapping[str, Subject],
    ground: Ground,
    models: Callable[[], Models],
    resident_tier: str,
) -> LoopArms:
    """Return the arms of a loop.

    Args:
        options: of the run.
        loop: what is measured.
        subjects: by tier, those that can be measured.
        ground: under every sample.
        models: gives the models, where the loop needs one.
        resident_tier: whose untimed work arms without a store do.
    """

    def made(place: Place) -> Arm:
        tier, issue = place
        if loop.case == "gather":
            return GatherArm(tier, subjects[tier], ground)
        if loop.case == "lookup":
            return LookupArm(tier, subjects[tier], ground, models().with_memory)
        model = models().without if tier == NONE else models().with_memory
        if whole:
            return SequencesArm(tier, subjects.get(tier), ground, model, options.lengths)
        return (ReadyArm if tier == READY else StepArm)(
            tier, subjects.get(tier), ground, model, loop.phase,
            options.context, beside=beside, issue=issue or "start",
            tail="before" in options.issues,
        )  # fmt: skip

    whole = loop.phase == SEQUENCES
    others = (one for one in subjects.values() if one.cache != TRAFFIC)
    beside = subjects.get(resident_tier) or next(others, None)
    wanted = places(options, loop, tuple(subjects))
    if loop.case == "step":
        ready = [(READY, None)] if beside and not whole else []
        wanted = [(NONE, None), *ready, *wanted]
    arms = LoopArms({place: made(place) for place in wanted})
    if loop.case == "step" and not whole:
        arms.fetches = {tier: FetchArm(tier, one, ground) for tier, one in subjects.items()}
    arms.copied = copied_place(arms.timed)
    if arms.copied is None:
        return arms
    arms.copy = made(arms.copied)
    copied, issue = arms.copied
    for tier, one in subjects.items():
        if tier != copied and one.cache == TRAFFIC:
            arms.followers.append(
                FollowWaveArm(tier, one, ground, options.lengths)
                if whole
                else FollowArm(tier, one, ground, issue)
            )
    return arms


def sampled_arms(
    make: Callable[[], LoopArms],
    subjects: dict[str, Subject],
    skipped: dict[str, str],
    windows: Callable[[int], Sequence[Window]],
    loop: Loop,
    progress: Callable[[int], None],
    cut: Callable[[LoopArms], None],
) -> LoopArms:
    """Return the arms of a loop, sampled.

    Where a subject cannot have its state, the loop begins again without its arms, with the same
    windows: the others are not measured less for it, nor compared with what was not beside them.

    Args:
        make: makes the arms of `subjects`.
        subjects: by tier; loses those that cannot have their state.
        skipped: by tier, why it has no arm; gets them.
        windows: as of `LoopArms.in_turn`, the same whenever it is asked.
        loop: what is measured.
        progress: told of rounds; of those that are taken back, as a number below 0.
        cut: takes arms whose samples a signal ended.
    """
    while True:
        arms = make()
        try:
            arms.in_turn(windows, apart=loop.cache == TRAFFIC, progress=progress)
        except Unmeasurable as error:
            [tier] = (name for name, one in subjects.items() if one is error.subject)
            skipped[tier] = str(error)
            del subjects[tier]
            progress(-num_rounds(loop))
        except (KeyboardInterrupt, SystemExit):
            cut(arms)
            raise
        else:
            return arms
