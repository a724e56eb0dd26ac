"""The loops of a run: what is measured interleaved, and in which order loops come."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import product
from typing import Any

from engramctl.errors import ConfigError, near
from engramctl.results.document import Case, LoopName, loop_name
from engramctl.results.states import STATES, TRAFFIC
from engramctl.storage.tiers.tier_list import on_disk
from engramctl.sweep.axes import AXES, SEQUENCES, axes_of, case_id
from engramctl.sweep.options import BenchOptions

WARM_UP = 2
CHUNK = 2048  # tokens that are looked up together before the first sample of TRAFFIC
USUAL_ISSUE = "start"
_USUAL = {one.name: one.default for one in fields(BenchOptions)}


@dataclass(frozen=True)
class Loop:
    """Arms of one case at one point of the sweep, measured interleaved.

    Attributes:
        case: of CASES.
        phase: of PHASES, or SEQUENCES.
        cache: warm, cold or TRAFFIC.
        tiers: that were asked for; baselines come on top.
        options: of this point.
    """

    case: str
    phase: str
    cache: str
    tiers: tuple[str, ...]
    options: BenchOptions

    @property
    def axes(self) -> dict[str, Any]:
        """The value of every axis; None of one that changes nothing of the case."""
        values = {axis.name: getattr(self.options, axis.name) for axis in AXES}
        return axes_of(self.case, self.phase, values)

    @property
    def name(self) -> LoopName:
        """What its cases share: case, phase, loop, axes."""
        return loop_name(self.case, self.phase, self.cache, self.axes)

    def id_of(self, tier: str, issue: str | None = None) -> str:
        """Return the ID of one of its cases; `issue` says when a step asks for its rows."""
        found = case_id(self.case, self.phase, tier, self.cache, self.axes, _USUAL)
        return found if issue in (None, USUAL_ISSUE) else f"{found}.issue-{issue}"

    def ids_of(self, tier: str) -> list[str]:
        """Return the IDs of all its cases on a tier."""
        asks = self.case == "step" and self.phase != SEQUENCES
        issues = self.options.issues if asks else (None,)
        return [self.id_of(tier, issue) for issue in issues]

    def cache_of(self, tier: str) -> str:
        """Return the cache state a tier is measured in: only rows on disk have a choice."""
        return self.cache if on_disk(tier) else "warm"

    def placed(self, cases: Sequence[Case]) -> list[Case]:
        """Return its cases with their IDs and their places in the sweep."""
        for case in cases:
            case.id, case.axes = self.id_of(case.tier, case.issue), self.axes
        return list(cases)


def plan_loops(options: BenchOptions) -> list[Loop]:
    """Return the loops of a run in the order they are measured.

    Models come one after the other, so that no two are in memory; of each the cold loops last.

    Raises:
        ConfigError: an ID or a beginning in `options.cases` that no case has; no tier that has the
            state of `options.cache`.
    """
    loops = list(_all_loops(options))
    if not loops:
        raise ConfigError(
            f"--cache {options.cache} is a state of rows on disk: no tier asked for has them there",
            facts=dict.fromkeys(stateless(options), "its rows are in memory, always warm"),
            hint="--cache warm, or a tier over ssd: --tier host:1GiB,ssd",
        )
    named = [_beginnings(one) for loop in loops for tier in loop.tiers for one in loop.ids_of(tier)]
    for wanted in options.cases:
        if named and not any(wanted in one for one in named):
            raise _no_such_case(wanted, [max(one, key=len) for one in named])
    kept = []
    for loop in loops:
        tiers = tuple(
            tier
            for tier in loop.tiers
            if any(_beginnings(one) & set(options.cases) for one in loop.ids_of(tier))
        )
        if tiers:
            kept.append(Loop(loop.case, loop.phase, loop.cache, tiers, loop.options))
    return kept


def stateless(options: BenchOptions) -> tuple[str, ...]:
    """Return the tiers of a run that have not the state of `options.cache`, in no loop of it."""
    return tuple(tier for tier in options.tiers if not options.caches(tier))


def _all_loops(options: BenchOptions) -> Iterator[Loop]:
    """Yield the loops of every point: those of an earlier point that mean the same are left out."""
    cases = dict.fromkeys(one.partition(".")[0] for one in options.cases)
    seen = set()
    for model in _points(options, of_model=True):
        for cache in STATES:
            tiers = tuple(tier for tier in options.tiers if cache in options.caches(tier))
            for case, phase in _phased(cases if tiers else (), options):
                for point in _points(options, of_model=False):
                    loop = Loop(case, phase, cache, tiers, options.at({**model, **point}))
                    if loop.name not in seen:
                        seen.add(loop.name)
                        yield loop


def _phased(cases: Iterable[str], options: BenchOptions) -> Iterator[tuple[str, str]]:
    return ((case, phase) for case in cases for phase in options.phases(case))


def _points(options: BenchOptions, *, of_model: bool) -> Iterator[dict[str, Any]]:
    names = [axis.name for axis in AXES if axis.of_model == of_model]
    for values in product(*(options.values(name) for name in names)):
        yield dict(zip(names, values, strict=True))


def _beginnings(whole: str) -> set[str]:
    parts = whole.split(".")
    return {".".join(parts[:count]) for count in range(1, len(parts) + 1)}


def _no_such_case(wanted: str, ids: Sequence[str]) -> ConfigError:
    hint = "give the options that --list was given; run: engramctl bench --list"
    return ConfigError(
        f"no case of these options is {wanted}, or begins so",
        facts={"cases": f"{len(ids)}, the first {ids[0]}"},
        hint=f"{near(wanted, ids)}\n{hint}".lstrip(),
    )


def num_rounds(loop: Loop) -> int:
    """Return how often each arm of a loop is sampled, warm-up included."""
    return WARM_UP + loop.options.num_samples(loop.case, loop.phase)


def total_rounds(options: BenchOptions) -> int:
    """Return the rounds of a run, for progress.

    Each chunk of the traffic before is one more, in each store that it is looked up in.
    """
    loops = plan_loops(options)
    stores = {tier for loop in loops if loop.cache == TRAFFIC for tier in loop.tiers}
    return sum(map(num_rounds, loops)) + len(stores) * -(-options.after // CHUNK)
