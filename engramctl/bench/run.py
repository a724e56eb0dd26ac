"""One run: open the tiers, measure every case in interleaved loops, write down what happened."""

import statistics
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from engramctl.bench.arms import Arm, GatherArm, LookupArm, StepArm
from engramctl.bench.cases import NONE, measured_case, unmeasured_case
from engramctl.bench.ground import Ground
from engramctl.bench.loops import WARM_UP, Loop, num_rounds, plan_loops
from engramctl.bench.measured_model import Models, make_models
from engramctl.bench.options import TIERS, BenchOptions
from engramctl.bench.rounds import interleave
from engramctl.bench.subject import Subject, Unmeasurable
from engramctl.bench.trace import Trace, Window, other_rows
from engramctl.errors import ConfigError, EngramError, FormatError, StorageError, TierUnavailable
from engramctl.hashing.scheme.scheme import Scheme
from engramctl.machine.environment import capture
from engramctl.results.document import SCHEMA, Case, utc_now
from engramctl.results.resolution import resolution_percent
from engramctl.storage import Store, open_store
from engramctl.storage.reading.table import TableFiles, open_table
from engramctl.storage.tiers.door import indexed, tier_missing
from engramctl.terminal.command_line import typed_words

Progress = Callable[[int], None]


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
    path: Path,
    options: BenchOptions,
    progress: Progress,
    assumed: str | None = None,
    keep: Callable[[dict[str, Any]], None] | None = None,
) -> dict[str, Any]:
    """Measure a table and return the `engramctl.bench/2` document.

    Args:
        path: a folder made by build or layout.
        options: what to measure.
        progress: told of rounds as they are done.
        assumed: what was not said and so chosen, for the record.
        keep: given the document so far when the run ends early and some case was measured: by a
            signal (the rest is skipped, "interrupted") or by an error, which go on their way after.

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
    with _Run(path, options, scheme, missing) as run:
        try:
            for loop in plan_loops(options):
                run.measure(loop, progress)
        except BaseException as error:
            run.leave_out_the_rest(error)
            if keep is not None and any(case.samples_ns for case in run.cases):
                keep(run.document(table, assumed))
            raise
    return run.document(table, assumed)


@dataclass
class _Run:
    """State of one run: open stores, models, trace, the cases of each finished loop."""

    path: Path
    options: BenchOptions
    scheme: Scheme
    missing: dict[str, str]
    cases_of_loops: list[list[Case]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._created_utc = utc_now()
        self._stack = ExitStack()
        self._stores: dict[str, Store] = {}
        self._models: Models | None = None
        self.device = indexed("cuda" if torch.cuda.is_available() else "cpu")
        self._ground = Ground(self.device)
        self._trace = Trace(self.options.trace, self.scheme.vocab_size, self.options.seed)
        if warning := other_rows(self.options.trace, self.scheme.canonical):
            self._warn(warning)

    def __enter__(self) -> "_Run":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def document(self, table: TableFiles, assumed: str | None) -> dict[str, Any]:
        """Return the result of the cases there are."""
        return {
            "schema": SCHEMA,
            "created_utc": self._created_utc,
            "command": typed_words(),
            "environment": capture(self.path),
            "config": {
                **asdict(self.options),
                "path": str(self.path),
                "assumed": assumed,
                "scheme": self.scheme.name,
                "layout": asdict(table.layout),
                "num_rows": {str(layer): table.num_rows(layer) for layer in table.layers},
            },
            "warnings": self.warnings,
            "cases": [case.to_dict() for case in self.cases],
        }

    @property
    def cases(self) -> list[Case]:
        """Cases so far, in the order they were measured."""
        return [case for cases in self.cases_of_loops for case in cases]

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

    def measure(self, loop: Loop, progress: Progress) -> None:
        """Measure one loop; every tier of it gets a case, measured or not."""
        subjects: dict[str, Subject] = {}
        skipped: dict[str, str] = dict(self.missing)
        for tier in self._tiers(loop):
            if tier not in skipped:
                try:
                    subjects[tier] = Subject(self._store(tier), self.scheme, loop.cache_of(tier))
                except (StorageError, Unmeasurable, torch.OutOfMemoryError) as error:
                    skipped[tier] = str(error)
        measured = (NONE, *subjects) if loop.case == "step" else tuple(subjects)
        arms = {tier: self._arm(loop, tier, subjects) for tier in measured}
        copied = twice(arms)
        copy = None if copied is None else self._arm(loop, copied, subjects)
        reason = self._interleave(loop, list(arms.values()), copy, progress)
        bound = None
        if copied is not None and copy is not None and reason is None:
            bound = resolution_percent(arms[copied].samples_ns, copy.samples_ns)
        cases = []
        for tier in dict.fromkeys((NONE, *self._tiers(loop))):
            if tier in arms and reason is None:
                case = measured_case(self.options, loop, arms, tier, self.resident_tier)
                case.resolution_percent = bound
                case.copy_samples_ns = copy.samples_ns if copy and tier == copied else []
                cases.append(case)
            elif tier != NONE:
                why = skipped.get(tier) or reason
                cases.append(unmeasured_case(self.options, loop, tier, "skipped", why))
        self._warn_of_outliers(cases)
        self.cases_of_loops.append(cases)

    def leave_out_the_rest(self, error: BaseException) -> None:
        """Give every case that was not reached its place, and say why it has no samples."""
        left = list(plan_loops(self.options))[len(self.cases_of_loops) :]
        stopped = not isinstance(error, Exception)
        text = error.message if isinstance(error, EngramError) else repr(error)
        for loop in left:
            status, reason = "skipped", "interrupted" if stopped else "an earlier case failed"
            if loop is left[0] and not stopped:
                status, reason = "failed", text
            self.cases_of_loops.append(
                [
                    unmeasured_case(self.options, loop, tier, "skipped", self.missing[tier])
                    if tier in self.missing
                    else unmeasured_case(self.options, loop, tier, status, reason)
                    for tier in self._tiers(loop)
                ]
            )
        self._warn("interrupted" if stopped else f"ended by an error: {text}")

    def _warn_of_outliers(self, cases: list[Case]) -> None:
        for case in cases:
            if case.samples_ns and max(case.samples_ns) > 20 * statistics.median(case.samples_ns):
                self._warn(
                    f"{case.name} {case.phase} on {case.tier} ({case.loop} loop) has samples over "
                    "20 times the median: other work on this machine, or its disk"
                )

    def _tiers(self, loop: Loop) -> tuple[str, ...]:
        baseline = (self.resident_tier,) if loop.case == "step" else ()
        return tuple(dict.fromkeys((*loop.tiers, *baseline)))

    def _arm(self, loop: Loop, tier: str, subjects: Mapping[str, Subject]) -> Arm:
        if loop.case == "gather":
            return GatherArm(tier, subjects[tier], self._ground)
        models = self.models()
        if loop.case == "lookup":
            return LookupArm(tier, subjects[tier], self._ground, models.with_memory)
        return StepArm(
            tier,
            subjects.get(tier),
            self._ground,
            models.without if tier == NONE else models.with_memory,
            loop.phase,
            self.options.context,
            beside=subjects.get(self.resident_tier),
        )

    def _interleave(
        self, loop: Loop, arms: list[Arm], copy: Arm | None, progress: Progress
    ) -> str | None:
        """Sample arms and copy in turn; return why that is not possible, or None.

        All arms read the same windows, the copy others of the same trace: rows that the first
        copy has read would be nearer for the second, in a cache of the processor or of the disk.
        """
        rounds = num_rounds(self.options, loop)
        windows = [self._windows(loop, rounds)] * len(arms)
        if copy is not None:
            arms = [*arms, copy]
            windows.append(self._windows(loop, rounds))
        done = 0

        def advance(amount: int) -> None:
            nonlocal done
            done += amount
            progress(amount)

        try:
            interleave(arms, windows, WARM_UP, advance)
        except Unmeasurable as error:
            return str(error)
        finally:
            progress(rounds - done)
        return None

    def _windows(self, loop: Loop, count: int) -> list[Window]:
        tokens = 1 if loop.phase == "decode" else self.options.tokens
        context = self.scheme.max_order - 1
        windows = [self._trace.window(self.options.batch, tokens, context) for _ in range(count)]
        if self._trace.wrapped:
            self._warn("the trace is shorter than the run and was read more than once")
        return windows

    def _warn(self, text: str) -> None:
        if text not in self.warnings:
            self.warnings.append(text)


def twice(arms: Mapping[str, Arm]) -> str | None:
    """Return which arm of a loop gets a second copy: the slowest tier, whose samples vary most.

    An overhead is a difference of two arms; a copy of the steadier one would promise too much.
    """
    return max(arms, key=(NONE, *TIERS).index, default=None)
