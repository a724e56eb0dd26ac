"""Results as a noisy machine gives them: levels that move within a run and from run to run."""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.results.document import Case
from engramctl.results.resolution import resolution_percent


@dataclass(frozen=True)
class Machine:
    """How noisy a machine is; each is a standard deviation of a logarithm.

    Attributes:
        sample: of one sample.
        wander: of the level within a run; samples that follow each other share it.
        run: of the level of a whole run, which the machine's own rates feel too.
        place: of where the memory of an arm came to lie, another one in each run and copy.
    """

    sample: float = 0.05
    wander: float = 0.02
    run: float = 0.02
    place: float = 0.005

    def levels(self, random: np.random.Generator, count: int) -> NDArray[np.float64]:
        """Return the level of each round of a loop, about 0; float64 (count,)."""
        steps, found = random.standard_normal(count), np.empty(count)
        last = random.standard_normal()
        for i in range(count):
            last = found[i] = 0.95 * last + (1 - 0.95**2) ** 0.5 * steps[i]
        return self.wander * found

    def samples(
        self, random: np.random.Generator, level_ns: float, levels: NDArray[np.float64]
    ) -> list[int]:
        """Return one arm's samples, ns: now and then one takes much longer."""
        logs = levels + self.sample * random.standard_normal(len(levels))
        logs += self.place * random.standard_normal()
        logs += (random.random(len(levels)) < 0.02) * random.exponential(0.7, len(levels))
        return [round(one) for one in level_ns * np.exp(logs)]


ENVIRONMENT = {"cpu": "a processor", "num_cpus": 2, "engramctl": "0.1.0"}
CONFIG = {
    "path": "shards", "scheme": "deepseek-v41", "preset": "tiny", "residual": "mhc", "mhc": "fused",
    "threads": 2, "store_threads": 2, "trace": "zipf", "samples": 200, "context": 64, "seed": 0,
    "num_rows": {"1": 100}, "table_xxh3_128": "ab", "layout": {"form": "planar", "dtype": "bf16"},
}  # fmt: skip
LEVELS_NS = {"gather": 2e5, "lookup": 3e6, "step": 2e7}


def noisy_result(seed: int, machine: Machine, slower: float = 1.0, samples: int = 200) -> Any:
    """Return the result of a run; what reads rows takes `slower` times as long."""
    random = np.random.default_rng(seed)
    of_run = machine.run * random.standard_normal()
    cases: list[Case] = []
    for name, level in LEVELS_NS.items():
        levels = of_run + machine.levels(random, samples)
        tiers = ("none", "host", "ssd") if name == "step" else ("host", "ssd")
        axes = {"batch": 1, "preset": None if name == "gather" else "tiny"}
        for tier in tiers:
            case = Case(name, "decode", tier, None if tier == "none" else "warm", "warm",
                        id=f"{name}.decode.{tier}.warm.b1", axes=axes)  # fmt: skip
            more = 1.0 if tier == "none" else slower
            case.samples_ns = machine.samples(random, level * more, levels)
            cases.append(case)
        cases[-1].copy_samples_ns = machine.samples(random, level * slower, levels)
        found = resolution_percent(cases[-1].samples_ns, cases[-1].copy_samples_ns)
        for case in cases[-len(tiers) :]:
            case.resolution_percent = found
    rate = float(np.exp(-of_run + 0.01 * random.standard_normal()))
    return as_result(cases, 2e7 * rate)


def as_result(cases: list[Case], memory_lines_per_s: float) -> Any:
    """Return a result of these cases, on a machine and of a table that are always the same."""
    return {
        "schema": "engramctl.bench/2",
        "created_utc": "2026-01-01T00:00:00Z",
        "command": None,
        "environment": copy.deepcopy(ENVIRONMENT),
        "config": copy.deepcopy(CONFIG),
        "ceilings": {"disk": None, "memory_lines_per_s": memory_lines_per_s},
        "step_fit": None,
        "warnings": [],
        "cases": [case.to_dict() for case in cases],
    }
