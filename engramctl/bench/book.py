"""The cases of a run: finished, taken over from an earlier one, cut short, not reached."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from engramctl.bench.cases import unmeasured_case
from engramctl.bench.loop_arms import places
from engramctl.errors import ConfigError, EngramError
from engramctl.results.document import Case, LoopName
from engramctl.results.earlier import ENDED, INTERRUPTED, NOT_YET, Earlier
from engramctl.storage.files.system_errors import from_system
from engramctl.sweep.loops import Loop
from engramctl.sweep.options import DECIDING, WIDENING

Tiers = Callable[[Loop], tuple[str, ...]]


@dataclass
class Book:
    """What there is to say of each loop of a run, at any moment of it.

    Attributes:
        loops: of the run, in order.
        tiers: those of a loop, its baselines included.
        missing: tiers that this machine lacks, and why.
        warnings: sentences, each once.
        errors: why loops could not be measured.
    """

    loops: Sequence[Loop]
    tiers: Tiers
    missing: Mapping[str, str]
    warnings: list[str] = field(default_factory=list)
    errors: list[EngramError] = field(default_factory=list)
    _done: dict[LoopName, list[Case]] = field(default_factory=dict)
    _of_earlier: dict[LoopName, list[Case]] = field(default_factory=dict)
    _cut: dict[LoopName, list[Case]] = field(default_factory=dict)
    _left: tuple[str, str] = ("skipped", NOT_YET)

    @property
    def cases(self) -> list[Case]:
        """Cases in the order they are measured, then those of the earlier run that are not asked.

        A loop that was not reached has the cases of the earlier run, else says why it has none.
        """
        status, reason = self._left
        found: list[Case] = []
        for loop in self.loops:
            cases = self._done.get(loop.name) or self._cut.get(loop.name)
            found += cases or self._of_earlier.get(loop.name) or self._blank(loop, status, reason)
        mine = {loop.name for loop in self.loops}
        others = (cases for name, cases in self._of_earlier.items() if name not in mine)
        return [*found, *(case for cases in others for case in cases)]

    @property
    def any_measured(self) -> bool:
        """Whether some case has samples."""
        return any(case.samples_ns for case in self.cases)

    def refuse_none(self) -> None:
        """Raise why the first case could not be measured, when none was.

        Raises:
            EngramError: none was.
        """
        if self.any_measured:
            return
        if self.errors:
            raise self.errors[0]
        reasons = [str(case.reason) for case in self.cases if case.tier not in self.missing]
        if reasons:
            raise EngramError(f"no case could be measured: {reasons[0]}")

    def warn(self, text: str) -> None:
        """Keep a sentence, once."""
        self.warnings += [text] if text not in self.warnings else []

    def finish(self, loop: Loop, cases: Sequence[Case]) -> None:
        """Take the cases of a loop that was measured."""
        self._done[loop.name] = loop.placed(cases)

    def interrupt(self, loop: Loop, cases: Sequence[Case]) -> None:
        """Take the cases of a loop that a signal ended."""
        self._cut[loop.name] = loop.placed(cases)

    def fail(self, loop: Loop, error: EngramError) -> None:
        """Say of every case of a loop why it could not be measured.

        What this model or machine cannot have is skipped; what went wrong has failed.
        """
        self.errors.append(error)
        shown = "; ".join((error.message, *(f"{name}: {one}" for name, one in error.facts.items())))
        status = "skipped" if isinstance(error, ConfigError) or _too_little(error) else "failed"
        self._done[loop.name] = self._blank(loop, status, shown)

    def go_on_from(self, earlier: Earlier, now: Mapping[str, Any]) -> None:
        """Take the finished loops and the warnings of a run; `now` is our document, no case yet."""
        earlier.check_same_run(now, DECIDING)
        self._of_earlier = earlier.finished_loops()
        self.warnings = list(dict.fromkeys(earlier.warnings() + self.warnings))
        count = len(self._of_earlier) - sum(
            loop.name in self._of_earlier and not self.is_taken_over(loop) for loop in self.loops
        )
        self.warn(f"resumed: {count} finished loops are of an earlier run")
        if other := earlier.other_options(now, WIDENING):
            self.warn(f"resumed with other options than the earlier run: {other}")

    def is_taken_over(self, loop: Loop) -> bool:
        """Tell whether the earlier run has measured all that is asked of a loop."""
        return set(loop.tiers) <= {case.tier for case in self._of_earlier.get(loop.name, [])}

    def take_over(self, loop: Loop) -> list[Case]:
        """Count a loop of the earlier run as done, and return its cases."""
        self._done[loop.name] = self._of_earlier[loop.name]
        return self._done[loop.name]

    def end_early(self, error: BaseException) -> None:
        """Say of every case that was not reached why it has no samples."""
        if not isinstance(error, Exception):
            self._left = ("skipped", INTERRUPTED)
            self.warn(INTERRUPTED)
            return
        text = error.message if isinstance(error, EngramError) else repr(error)
        self._left = ("failed", text)
        self.warn(f"{ENDED}{text}")

    def _blank(self, loop: Loop, status: str, reason: str) -> list[Case]:
        """Return cases of a loop that have no samples; a missing tier keeps its own reason."""
        absent = {tier: ("skipped", why) for tier, why in self.missing.items()}
        return loop.placed(
            [
                unmeasured_case(loop.options, loop, place, *absent.get(place[0], (status, reason)))
                for place in places(loop.options, loop, self.tiers(loop))
            ]
        )


def known_error(error: Exception) -> EngramError:
    """Return an error that a loop ended with as one of ours.

    Raises:
        Exception: the error itself, when it is rather a bug.
    """
    known = error if isinstance(error, EngramError) else None
    if known is None and isinstance(error, MemoryError | RuntimeError):
        known = from_system(error)
    if known is None:
        raise error
    return known


def _too_little(error: EngramError) -> bool:
    """Tell whether it is an error of too little memory, as `from_system` makes them."""
    return type(error) is EngramError and "not enough memory" in error.message
