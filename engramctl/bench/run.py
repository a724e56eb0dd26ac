"""One run: open the tiers, measure every case in interleaved loops, write down what happened."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch

from engramctl.arms.arm import Arm
from engramctl.arms.ground import Ground
from engramctl.arms.rounds import interleave
from engramctl.arms.subject import Subject, Unmeasurable, opened_store
from engramctl.arms.threads import fixed_threads
from engramctl.arms.window import Window
from engramctl.bench.cases import (
    hold_against,
    interrupted_cases,
    loop_cases,
    outliers,
    unmeasured_case,
)
from engramctl.bench.compared import unfair
from engramctl.bench.loop_arms import LoopArms, make_arms, places
from engramctl.bench.loops import WARM_UP, Loop, num_rounds, plan_loops
from engramctl.bench.measured_folder import folder_facts, scheme_of
from engramctl.bench.measured_model import Models, make_models
from engramctl.bench.options import DECIDING, BenchOptions
from engramctl.bench.step_figures import give_floor
from engramctl.bench.step_verdict import engine_layers, verdict
from engramctl.bench.trace import Trace, other_rows
from engramctl.errors import EngramError, StorageError, TierUnavailable
from engramctl.hashing.scheme.scheme import Scheme
from engramctl.machine.ceilings import Ceilings, largest_file
from engramctl.machine.environment import capture
from engramctl.results.document import SCHEMA, Case, utc_now
from engramctl.results.earlier import AFTER_FAILURE, ENDED, INTERRUPTED, NOT_YET, Earlier, LoopName
from engramctl.storage import Store
from engramctl.storage.tiers.door import indexed, tier_missing
from engramctl.tables.opened_rows import Opened, open_rows
from engramctl.terminal.command_line import typed_words

Progress = Callable[[int], None]


def run_bench(
    path: Path,
    options: BenchOptions,
    progress: Progress,
    assumed: str | None = None,
    keep: Callable[[dict[str, Any]], None] | None = None,
    earlier: Earlier | None = None,
    scheme_file: Path | None = None,
) -> dict[str, Any]:
    """Measure a table and return the `engramctl.bench/2` document.

    Args:
        path: a folder made by build or layout, or a checkpoint, which is read in place.
        options: what to measure.
        progress: told of rounds as they are done.
        assumed: what was not said and so chosen, for the record.
        keep: given the document so far when a loop is done (the rest is skipped, "not measured
            yet") and when the run ends early and some case was measured: by a signal (the rest is
            skipped, "interrupted") or by an error, which go on their way after.
        earlier: a run that ended early: its finished loops are taken over, and not measured.
        scheme_file: of a checkpoint whose own files do not say its scheme.

    Raises:
        ConfigError: no scheme, or `earlier` is of another table or machine.
        FormatError: neither a table nor a checkpoint. TierUnavailable: no tier asked for is here.
    """
    missing = {tier: reason for tier in options.tiers if (reason := tier_missing(tier))}
    if options.named and len(missing) == len(options.tiers):
        raise TierUnavailable(
            f"no tier asked for is here: {', '.join(options.tiers)}",
            facts=missing,
            hint="run: engramctl env",
        )
    table = open_rows(path, scheme_file)
    loops = list(plan_loops(options))
    if options.step_ms is not None:
        engine_layers(options, sorted(table.rows.layers))  # refused before anything is measured
    with _Run(path, table, options, scheme_of(path, table.scheme), missing) as run:
        if earlier is not None:
            run.go_on_from(earlier, run.document(assumed))
            if all(loop.name in run.taken_over for loop in loops):
                return earlier.document
        try:
            for loop in loops:
                if loop.name in run.taken_over:
                    run.take_over(loop, progress)
                    continue
                run.measure(loop, progress)
                run.leave_out_the_rest("skipped", NOT_YET)
                if keep is not None and loop is not loops[-1]:
                    keep(run.document(assumed))
            return run.document(assumed)
        except BaseException as error:
            run.end_early(error)
            if keep is not None and any(case.samples_ns for case in run.cases):
                keep(run.document(assumed))
            raise


@dataclass
class _Run:
    """State of one run: open stores, models, trace, the cases of each loop, finished or not."""

    path: Path
    table: Opened
    options: BenchOptions
    scheme: Scheme
    missing: dict[str, str]
    cases_of_loops: list[list[Case]] = field(default_factory=list)
    taken_over: dict[LoopName, list[Case]] = field(default_factory=dict)
    cut: dict[LoopName, list[Case]] = field(default_factory=dict)
    not_reached: list[list[Case]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._created_utc = utc_now()
        self._stack = ExitStack()
        self._stores: dict[str, Store] = {}
        self._models: Models | None = None
        self.device = indexed("cuda" if torch.cuda.is_available() else "cpu")
        self.threads = self._stack.enter_context(
            fixed_threads(self.options.threads, self.options.store_threads)
        )
        self._ground = Ground(self.device, self.threads)
        self._ceilings = Ceilings(largest_file(self.path), self.device)
        self._trace = Trace(self.options.trace, self.scheme.vocab_size, self.options.seed)
        if warning := other_rows(self.options.trace, self.scheme.canonical):
            self._warn(warning)

    def __enter__(self) -> "_Run":
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def document(self, assumed: str | None) -> dict[str, Any]:
        """Return the result of the cases there are."""
        cases = [case.to_dict() for case in self.cases]
        return {
            "schema": SCHEMA,
            "created_utc": self._created_utc,
            "command": typed_words(),
            "environment": capture(self.path),
            "config": {
                **asdict(self.options),
                "threads": self.threads.model,
                "store_threads": self.threads.store,
                "assumed": assumed,
                **folder_facts(self.path, self.table),
            },
            "ceilings": self._ceilings.document(),
            "warnings": self.warnings,
            "step_fit": verdict(cases, self.options, sorted(self.scheme.layers)),
            "cases": cases,
        }

    @property
    def cases(self) -> list[Case]:
        """Cases in the order they are measured, then those that were not reached."""
        return [case for cases in (*self.cases_of_loops, *self.not_reached) for case in cases]

    @property
    def resident_tier(self) -> str:
        """The tier on the compute device: the baseline of a table that costs no transfer."""
        return "gpu" if self.device.type == "cuda" else "host"

    def _store(self, tier: str) -> Store:
        if tier not in self._stores:
            store, told = opened_store(self.table, tier, self.device, self.options.reading(tier))
            for one in told:
                self._warn(one)
            self._stores[tier] = self._stack.enter_context(store)
        return self._stores[tier]

    def models(self) -> Models:
        """Return the models, drawn when first needed."""
        self._models = self._models or make_models(self.options, self.scheme, self.device)
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
        arms = make_arms(
            self.options, loop, subjects, self._ground, self.models, self.resident_tier
        )
        cases_if = partial(
            loop_cases, self.options, loop, self._tiers(loop), arms, self.resident_tier
        )
        try:
            reason = self._interleave(loop, arms, progress)
        except (KeyboardInterrupt, SystemExit):
            self.cut[loop.name] = interrupted_cases(cases_if(skipped, None))
            raise
        cases = cases_if(skipped, reason)
        hold_against(cases, subjects, self._ceilings)
        for case in cases if loop.case == "step" else ():
            if case.samples_ns:
                arm = arms.timed[case.tier, case.issue]
                give_floor(case, self.options, loop, self.models(), arm, self._ceilings)
        for warning in outliers(cases) + unfair(cases, self.threads):
            self._warn(warning)
        self.cases_of_loops.append(cases)

    def go_on_from(self, earlier: Earlier, now: Mapping[str, Any]) -> None:
        """Take the finished loops and the warnings of a run; `now` is our document, no case yet."""
        earlier.check_same_run(now, DECIDING)
        self.taken_over = earlier.finished_loops()
        self.warnings = earlier.warnings() + self.warnings
        self._warn(f"resumed: {len(self.taken_over)} finished loops are of an earlier run")

    def take_over(self, loop: Loop, progress: Progress) -> None:
        """Count a loop of the earlier run as done; the next one reads the windows after its own."""
        cases = self.taken_over[loop.name]
        rounds = num_rounds(self.options, loop)
        others = ("fetch_samples_ns", "copy_samples_ns")
        for _ in range(1 + sum(any(getattr(case, name) for case in cases) for name in others)):
            self._windows(loop, rounds)
        self.cases_of_loops.append(cases)
        progress(rounds)

    def end_early(self, error: BaseException) -> None:
        """Say of every case that was not reached why it has no samples."""
        if not isinstance(error, Exception):
            self.leave_out_the_rest("skipped", INTERRUPTED)
            self._warn(INTERRUPTED)
            return
        text = error.message if isinstance(error, EngramError) else repr(error)
        self.leave_out_the_rest("failed", text)
        self._warn(f"{ENDED}{text}")

    def leave_out_the_rest(self, status: str, reason: str) -> None:
        """Give every case that was not reached its place; what is said is of the first loop."""
        self.not_reached = []
        for loop in list(plan_loops(self.options))[len(self.cases_of_loops) :]:
            self.not_reached.append(
                self.taken_over.get(loop.name)
                or self.cut.get(loop.name)
                or [
                    unmeasured_case(
                        self.options, loop, place, *self._absent(place[0], status, reason)
                    )
                    for place in places(self.options, loop, self._tiers(loop))
                ]
            )
            if status == "failed":
                status, reason = "skipped", AFTER_FAILURE

    def _absent(self, tier: str, status: str, reason: str) -> tuple[str, str]:
        return ("skipped", self.missing[tier]) if tier in self.missing else (status, reason)

    def _tiers(self, loop: Loop) -> tuple[str, ...]:
        baseline = (self.resident_tier,) if loop.case == "step" else ()
        return tuple(dict.fromkeys((*loop.tiers, *baseline)))

    def _interleave(self, loop: Loop, measured: LoopArms, progress: Progress) -> str | None:
        """Sample arms and copy in turn; return why that is not possible, or None.

        Arms with a case read the same windows, fetches and the copy others of the same trace:
        rows that one has read would be nearer for the other, in a cache of processor or disk.
        """
        rounds = num_rounds(self.options, loop)
        arms: list[Arm] = []
        windows: list[list[Window]] = []
        for group in measured.by_windows():
            arms += group
            windows += [self._windows(loop, rounds)] * len(group)
        try:
            interleave(arms, windows, WARM_UP, progress)
        except Unmeasurable as error:
            return str(error)
        if not arms:
            progress(rounds)
        return None

    def _windows(self, loop: Loop, count: int) -> list[Window]:
        tokens = 1 if loop.phase == "decode" else self.options.tokens
        context = self.scheme.max_order - 1
        windows = [self._trace.window(self.options.batch, tokens, context) for _ in range(count)]
        if self._trace.wrapped:
            self._warn("the trace is shorter than the run and was read more than once")
        return windows

    def _warn(self, text: str) -> None:
        self.warnings += [text] if text not in self.warnings else []
