"""One case on one rank: its arms in turn, and what it tells the others of them."""

from collections.abc import Callable, Sequence
from typing import Any

from engramctl.arms.ground import Ground
from engramctl.arms.rounds import interleave
from engramctl.arms.subject import Subject
from engramctl.arms.window import Window
from engramctl.model.decoder import Decoder
from engramctl.ranks.arms import AloneArm, RankStepArm
from engramctl.ranks.mail import Mail
from engramctl.storage.reading.source import Source
from engramctl.sweep.ranked import SCHEDULES

LISTS = 3  # of windows that a loop reads


class RankArms:
    """The arms of a loop on ranks: both schedules, a copy of the first, the rows' way alone."""

    def __init__(
        self,
        tier: str,
        subject: Subject,
        ground: Ground,
        mail: Mail,
        whole: Source,
        model: Decoder,
        context: int,
    ) -> None:
        """Make them; see `RankStepArm`."""
        of = (tier, subject, ground, mail, whole)
        self.subject = subject
        self.steps = {
            name: RankStepArm(*of, parts, model, context) for name, parts in SCHEDULES.items()
        }
        self.copy = RankStepArm(*of, next(iter(SCHEDULES.values())), model, context)
        self.alone = AloneArm(*of, 1)

    @property
    def first(self) -> RankStepArm:
        """The schedule whose samples are the case's."""
        return next(iter(self.steps.values()))

    def measure(
        self,
        windows: Sequence[Sequence[Window]],
        warm_up: int,
        progress: Callable[[int], None],
    ) -> None:
        """Sample all arms in turn.

        Args:
            windows: LISTS of them, each with one a round: both schedules read the same, the
                others ones of their own.
            warm_up: rounds whose samples are not kept.
            progress: told of each round.

        Raises:
            Unmeasurable: a rank cannot have its rows in the state; on all ranks.
            LostPeers: a rank is gone.
        """
        shared, of_alone, of_copy = windows
        read = [*(shared for _ in self.steps), of_alone, of_copy]
        interleave([*self.steps.values(), self.alone, self.copy], read, warm_up, progress)

    def told(self) -> dict[str, Any]:
        """Return what this rank found, for all of them."""
        return {
            "schedules": {
                name: {
                    "samples_ns": arm.samples_ns,
                    "rows_wait_ns": arm.rows_wait_ns[-len(arm.samples_ns) :],
                    "streams_wait_ns": arm.streams_wait_ns[-len(arm.samples_ns) :],
                    "sent_bytes": arm.sent_bytes[-len(arm.samples_ns) :],
                    "logits_off": arm.logits_off,
                }
                for name, arm in self.steps.items()
            },
            "alone": self.alone.samples_ns,
            "copy": self.copy.samples_ns,
            "check": {"rows": self.subject.checked_rows, "mismatches": self.subject.mismatches},
            "rows": self.first.rows,
            "threads": (self.first.other_threads() or next(iter(self.first.threads))),
        }
