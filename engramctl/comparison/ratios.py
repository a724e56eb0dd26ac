"""The ratio of two runs of a case, with an interval that holds noise and drift."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any

import numpy as np

from engramctl.comparison.drift import of_copies, of_loops, of_parts, of_rates, rates
from engramctl.comparison.limits import PERCENTILES
from engramctl.comparison.matched import Matches, Measured
from engramctl.comparison.spread import Spread, percentile_log, spread
from engramctl.errors import ConfigError
from engramctl.results.document import LEAST_FOR_P99

CONFIDENCE_PERCENT = 95
NO_DIFFERENCE = "no difference seen"
TOO_FEW = "too few samples"
_OLD_SEED, _NEW_SEED = range(2)


@dataclass(frozen=True)
class Runs:
    """What two runs say of drift beyond the samples of a case.

    Attributes:
        cases: of both.
        loops: standard deviation of the logarithm of a ratio, as their loops show it.
        old: rates of the machine in the run of OLD.
        new: in that of NEW.
        paired: sample i of both was taken in one round, so that drift is in both.
    """

    cases: Sequence[Mapping[str, Any]]
    loops: float
    old: Mapping[str, float]
    new: Mapping[str, float]
    paired: bool = False


def runs_of(old: Mapping[str, Any], new: Mapping[str, Any], *, paired: bool = False) -> Runs:
    """Return what two results say of drift.

    Raises:
        LookupError, TypeError, ValueError, AttributeError: a result with parts missing or wrong.
    """
    loops = max(of_loops(one["cases"]) for one in (old, new))
    return Runs([*old["cases"], *new["cases"]], loops, rates(old), rates(new), paired)


def ratio_rows(matches: Matches, names: Sequence[str], runs: Runs) -> list[dict[str, Any]]:
    """Return one row for each pair of cases and percentile that both have.

    The intervals hold all together 95 times in 100: with more rows each is wider, so that among
    forty rows none is called slower by chance. Two runs of one build have one spread: the wider of
    the two is taken for both, or a run that was lucky in its tail would look sure of it.

    Args:
        matches: of two results.
        names: of PERCENTILES.
        runs: what the two say of drift.

    Raises:
        ConfigError: `runs.paired`, and a case with more samples in one result.
    """
    wanted = [(pair, name) for pair in matches.pairs for name in names if _has(pair, name)]
    quantile = NormalDist().inv_cdf(1 - (1 - CONFIDENCE_PERCENT / 100) / 2 / max(1, len(wanted)))
    return [_row(*pair, name, runs, quantile) for pair, name in wanted]


def _has(pair: tuple[Measured, Measured], name: str) -> bool:
    return name != "p99" or min(len(one.samples) for one in pair) >= LEAST_FOR_P99


def _row(old: Measured, new: Measured, name: str, runs: Runs, quantile: float) -> dict[str, Any]:
    percent = PERCENTILES[name]
    if runs.paired and len(old.samples) != len(new.samples):
        raise ConfigError(
            f"--paired takes as many samples of {old.id} in both results",
            facts={"expected": f"{len(old.samples):,}", "found": f"{len(new.samples):,}"},
            hint="leave out --paired: the two are then compared as runs of their own",
        )
    then = spread(old.samples, percent, _OLD_SEED)
    now = spread(new.samples, percent, _OLD_SEED if runs.paired else _NEW_SEED)
    log = now.log - then.log
    drift = _drift(old, new, runs)
    wide = math.hypot(_noise(then, now, runs.paired, quantile), quantile * drift)
    told = math.isfinite(wide)
    return {
        "case": old.id,
        **{key: old.case[key] for key in ("name", "phase", "tier", "cache", "loop", "issue")},
        **{f"axes_{axis}": value for axis, value in old.axes.items()},
        "of": name,
        "old_ns": round(math.exp(percentile_log(old.samples, percent))),
        "new_ns": round(math.exp(percentile_log(new.samples, percent))),
        "old_samples": len(old.samples),
        "new_samples": len(new.samples),
        "ratio": math.exp(log),
        "ratio_low": math.exp(log - wide) if told else None,
        "ratio_high": math.exp(log + wide) if told else None,
        "drift_percent": 100 * math.expm1(drift),
        "verdict": _verdict(log, wide),
    }


def _noise(then: Spread, now: Spread, paired: bool, quantile: float) -> float:
    """Return how far the logarithm of a ratio lies from 0 by chance, so many deviations away."""
    if paired:
        both = float(np.std(now.moved - then.moved))
        return max(one.width(quantile * both) for one in (then, now))
    return math.sqrt(2) * max(one.width(quantile * one.deviation) for one in (then, now))


def _verdict(log: float, wide: float) -> str:
    if not math.isfinite(wide):
        return TOO_FEW
    return "slower" if log > wide else "faster" if log < -wide else NO_DIFFERENCE


def _drift(old: Measured, new: Measured, runs: Runs) -> float:
    """Return by how much two runs of this case may differ, whatever their samples."""
    if runs.paired:
        return 0.0
    parts = [of_parts(one.samples) for one in (old, new)]
    copies = max(of_copies(one.case, runs.cases) for one in (old, new))
    of_machine = of_rates(old.case, runs.old, runs.new)
    return max(math.hypot(*parts), copies, runs.loops, of_machine)
