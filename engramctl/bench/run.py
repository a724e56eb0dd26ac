"""One run: open the tiers, measure every case in interleaved loops, write down what happened."""

import statistics
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from engramctl.bench.arms import Arm, GatherArm, LookupArm, StepArm, interleave
from engramctl.bench.measured_model import Models, make_models
from engramctl.bench.options import PHASES, BenchOptions
from engramctl.bench.result import SCHEMA, Case, percent_over, resolution_percent
from engramctl.bench.subject import Subject, Unmeasurable
from engramctl.bench.trace import Trace, Window, other_rows
from engramctl.environment import capture
from engramctl.errors import ConfigError, FormatError, StorageError, TierUnavailable
from engramctl.hashing.scheme import Scheme
from engramctl.storage.reader import open_table
from engramctl.storage.tiers import Store, open_store
from engramctl.storage.tiers.door import indexed, tier_missing

WARM_UP = 2
NONE, COPY = "none", "none again"


@dataclass(frozen=True)
class Loop:
    """Arms of one case that are measured interleaved."""

    case: str
    phase: str
    cache: str
    tiers: tuple[str, ...]


def plan_loops(options: BenchOptions) -> Iterator[Loop]:
    """Yield the loops of a run, in the order they are measured: cold ones last."""
    for cache in ("warm", "cold"):
        tiers = tuple(tier for tier in options.tiers if cache in options.caches(tier))
        for case in options.cases:
            for phase in PHASES:
                if tiers:
                    yield Loop(case, phase, cache, tiers)


def total_samples(options: BenchOptions) -> int:
    """Return how many windows the run will measure, for progress."""
    return sum(WARM_UP + options.num_samples(loop.case, loop.phase) for loop in plan_loops(options))


def scheme_of(path: Path, document: Mapping[str, Any]) -> Scheme:
    """Derive the scheme of a table's manifest.

    Raises:
        FormatError: the manifest holds no scheme, or one that contradicts itself.
    """
    try:
        return Scheme.from_dict(dict(document))
    except ConfigError as error:
        raise FormatError(
            f"the scheme in {path}/manifest.json cannot be used: {error.message}",
            facts=error.facts,
            hint=error.hint or f"run: engramctl verify {path}",
        ) from error


def run_bench(
    path: Path, options: BenchOptions, progress: Callable[[int], None], assumed: str | None = None
) -> dict[str, Any]:
    """Measure a table and return the `engramctl.bench/1` document.

    Args:
        path: a folder made by build or layout.
        options: what to measure.
        progress: told of windows as they are done.
        assumed: what was not said and so chosen, for the record.

    Raises:
        FormatError: the folder is not a finished table.
        TierUnavailable: every tier asked for by name is missing here.
    """
    missing = {tier: reason for tier in options.tiers if (reason := tier_missing(tier))}
    if options.named and len(missing) == len(options.tiers):
        raise TierUnavailable(
            f"no tier asked for is here: {', '.join(options.tiers)}",
            facts=missing,
            hint="run: engramctl env",
        )
    table = open_table(path)
    scheme = scheme_of(path, table.manifest.scheme)
    run = _Run(path, options, scheme, missing)
    with run:
        for loop in plan_loops(options):
            run.measure(loop, progress)
    return {
        "schema": SCHEMA,
        "environment": capture(path),
        "config": {
            **asdict(options),
            "path": str(path),
            "assumed": assumed,
            "scheme": scheme.name,
            "layout": asdict(table.layout),
            "num_rows": {str(layer): table.num_rows(layer) for layer in table.layers},
        },
        "resolution_percent": run.resolution_percent,
        "warnings": run.warnings,
        "cases": [case.to_dict() for case in run.cases],
    }


@dataclass
class _Run:
    """State of one run: open stores, models, trace, finished cases."""

    path: Path
    options: BenchOptions
    scheme: Scheme
    missing: dict[str, str]
    cases: list[Case] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    resolution_percent: float | None = None

    def __post_init__(self) -> None:
        self._stack = ExitStack()
        self._stores: dict[str, Store] = {}
        self._models: Models | None = None
        self.device = indexed("cuda" if torch.cuda.is_available() else "cpu")
        self._trace = Trace(self.options.trace, self.scheme.vocab_size, self.options.seed)
        if warning := other_rows(self.options.trace, self.scheme.canonical):
            self._warn(warning)

    def __enter__(self) -> "_Run":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def resident_tier(self) -> str:
        """The tier on the compute device: the baseline of a table that costs no transfer."""
        return "gpu" if self.device.type == "cuda" else "host"

    def _store(self, tier: str) -> Store:
        if tier not in self._stores:
            dtype = torch.float32 if self.device.type == "cpu" else torch.bfloat16
            store = open_store(self.path, tier, dtype=dtype, device=self.device)
            self._stores[tier] = self._stack.enter_context(store)
        return self._stores[tier]

    def models(self) -> Models:
        """Return the models, drawn when first needed."""
        if self._models is None:
            self._models = make_models(self.options, self.scheme, self.device)
        return self._models

    def measure(self, loop: Loop, progress: Callable[[int], None]) -> None:
        """Measure one loop; every tier of it gets a case, measured or not."""
        arms: dict[str, Arm] = {}
        skipped: dict[str, str] = dict(self.missing)
        if loop.case == "step":
            for name in (NONE, COPY):
                arms[name] = self._arm(loop, name, None)
        baseline = {self.resident_tier} if loop.case == "step" else set()
        for tier in dict.fromkeys((*loop.tiers, *sorted(baseline))):
            if tier in skipped:
                continue
            cache = loop.cache if tier == "ssd" else "warm"
            try:
                arms[tier] = self._arm(loop, tier, Subject(self._store(tier), self.scheme, cache))
            except (StorageError, Unmeasurable) as error:
                skipped[tier] = str(error)
        windows = self._windows(loop)
        reason = self._interleave(arms, windows)
        progress(len(windows))
        for tier in dict.fromkeys((NONE, *loop.tiers, *sorted(baseline))):
            if tier in arms and reason is None:
                self.cases.append(self._case(loop, arms[tier], arms))
            elif tier != NONE:
                self.cases.append(self._skipped(loop, tier, skipped.get(tier) or reason))
        if COPY in arms and loop.phase == "decode" and self.resolution_percent is None:
            self.resolution_percent = resolution_percent(
                arms[NONE].samples_ns, arms[COPY].samples_ns
            )

    def _arm(self, loop: Loop, tier: str, subject: Subject | None) -> Arm:
        if loop.case == "step":
            models = self.models()
            model = models.without if subject is None else models.with_memory
            return StepArm(tier, subject, model, loop.phase, self.options.context)
        assert subject is not None
        if loop.case == "lookup":
            return LookupArm(tier, subject, self.models().with_memory)
        return GatherArm(tier, subject)

    def _windows(self, loop: Loop) -> list[Window]:
        count = WARM_UP + self.options.num_samples(loop.case, loop.phase)
        tokens = 1 if loop.phase == "decode" else self.options.tokens
        context = self.scheme.max_order - 1
        windows = [self._trace.window(self.options.batch, tokens, context) for _ in range(count)]
        if self._trace.wrapped:
            self._warn("the trace is shorter than the run and was read more than once")
        return windows

    def _interleave(self, arms: dict[str, Arm], windows: list[Window]) -> str | None:
        try:
            interleave(arms, windows, WARM_UP)
        except Unmeasurable as error:
            return str(error)
        return None

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)

    def _case(self, loop: Loop, arm: Arm, arms: Mapping[str, Arm]) -> Case:
        subject = arm.subject
        tokens = self.options.batch * (1 if loop.phase == "decode" else self.options.tokens)
        case = Case(
            name=loop.case, phase=loop.phase, tier=arm.tier, cache=None, loop=loop.cache,
            rows=arm.rows, tokens=tokens, batch=self.options.batch, samples_ns=arm.samples_ns,
        )  # fmt: skip
        if subject is not None:
            store = subject.store
            case.cache = subject.cache
            case.engine = store.engine
            case.useful_bytes = arm.rows * store.table.record.record_bytes
            case.resident_percent = subject.resident_percent
            case.check = {"rows": subject.checked_rows, "mismatches": subject.mismatches}
            case.stall_ns = None if loop.case == "gather" else _median(arm.stalls_ns)
            if arm.tier == "ssd":
                case.device_bytes = _mean(arm.device_bytes)
                case.device_reads = _mean(arm.device_reads)
            if subject.mismatches:
                case.status, case.reason = "failed", "gathered rows differ from the plain reader's"
        if loop.case == "step" and subject is not None:
            resident = arms.get(self.resident_tier)
            case.against = {
                "none_percent": percent_over(arm.samples_ns, arms[NONE].samples_ns),
                "resident_percent": None
                if resident is None or resident is arm
                else percent_over(arm.samples_ns, resident.samples_ns),
            }
        if case.samples_ns and max(case.samples_ns) > 20 * statistics.median(case.samples_ns):
            self._warn(
                f"{loop.case} {loop.phase} on {arm.tier} ({loop.cache} loop) has samples over 20 "
                "times the median: other work on this machine, or its disk"
            )
        return case

    def _skipped(self, loop: Loop, tier: str, reason: str | None) -> Case:
        cache = loop.cache if tier == "ssd" else "warm"
        return Case(
            name=loop.case, phase=loop.phase, tier=tier, cache=cache, loop=loop.cache,
            status="skipped", reason=reason, batch=self.options.batch,
        )  # fmt: skip


def _median(values: list[int]) -> int | None:
    return round(statistics.median(values)) if values else None


def _mean(values: list[int]) -> float | None:
    return statistics.fmean(values) if values else None
