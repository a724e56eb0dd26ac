"""The loops of a run: what is measured interleaved, and in which order loops come."""

from collections.abc import Iterator
from dataclasses import dataclass

from engramctl.bench.options import PHASES, BenchOptions

WARM_UP = 2


@dataclass(frozen=True)
class Loop:
    """Arms of one case that are measured interleaved."""

    case: str
    phase: str
    cache: str
    tiers: tuple[str, ...]

    @property
    def name(self) -> tuple[str, str, str]:
        """What its cases say of it: case, phase, loop."""
        return (self.case, self.phase, self.cache)

    def cache_of(self, tier: str) -> str:
        """Return the cache state a tier is measured in: only the ssd tier can be cold."""
        return self.cache if tier == "ssd" else "warm"


def plan_loops(options: BenchOptions) -> Iterator[Loop]:
    """Yield the loops of a run, in the order they are measured: cold ones last."""
    for cache in ("warm", "cold"):
        tiers = tuple(tier for tier in options.tiers if cache in options.caches(tier))
        for case in options.cases:
            for phase in PHASES:
                if tiers:
                    yield Loop(case, phase, cache, tiers)


def num_rounds(options: BenchOptions, loop: Loop) -> int:
    """Return how often each arm of a loop is sampled, warm-up included."""
    return WARM_UP + options.num_samples(loop.case, loop.phase)


def total_rounds(options: BenchOptions) -> int:
    """Return the rounds of a run, for progress."""
    return sum(num_rounds(options, loop) for loop in plan_loops(options))
