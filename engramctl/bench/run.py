"""One run: measure every loop of the plan, and write down what happened."""

from collections.abc import Callable, Mapping
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from engramctl.arms.ground import Ground
from engramctl.arms.subject import Subject, Unmeasurable
from engramctl.arms.threads import fixed_threads
from engramctl.arms.window import Window
from engramctl.bench.book import Book, known_error
from engramctl.bench.cases import (
    hold_against,
    interrupted_cases,
    loop_cases,
    note_residual,
    outliers,
)
from engramctl.bench.compared import unfair
from engramctl.bench.loop_arms import make_arms, sampled_arms
from engramctl.bench.ranked_cases import RankedRun
from engramctl.bench.recipe_figures import recipe_facts
from engramctl.bench.step_figures import give_floor
from engramctl.bench.step_verdict import engine_layers, verdict
from engramctl.bench.token_ids import TokenIds
from engramctl.errors import EngramError, StorageError, TierUnavailable
from engramctl.hashing import Lookup
from engramctl.machine.ceilings import Ceilings, largest_file
from engramctl.machine.environment import capture
from engramctl.measured.folder import folder_facts, scheme_of
from engramctl.measured.model import memory_facts, wanted_memory
from engramctl.measured.opened import OpenedParts, accesses_of
from engramctl.ranks.peers import AllRefuse, Peers
from engramctl.results.document import SCHEMA, Case, utc_now
from engramctl.results.earlier import Earlier
from engramctl.results.states import TRAFFIC
from engramctl.storage.tiers.door import tier_missing
from engramctl.sweep.left_out import tiers_left_out
from engramctl.sweep.loops import WARM_UP, Loop, num_rounds, plan_loops
from engramctl.sweep.options import BenchOptions
from engramctl.tables.opened_rows import Opened, open_rows
from engramctl.terminal.command_line import typed_words
from engramctl.traffic.chosen import Chosen, choose_trace
from engramctl.traffic.oddities import odd_tokens, traffic_of
from engramctl.traffic.trace import other_rows

Progress = Callable[[int], None]


def run_bench(
    path: Path,
    options: BenchOptions,
    progress: Progress,
    assumed: str | None = None,
    keep: Callable[[dict[str, Any]], None] | None = None,
    earlier: Earlier | None = None,
    scheme_file: Path | None = None,
    tell: Callable[[str], None] = lambda text: None,
    peers: Peers | None = None,
) -> dict[str, Any]:
    """Measure a table and return the `engramctl.bench/2` document.

    A loop that cannot be measured has cases that say why, and the next one follows.

    Args:
        path: a folder made by build or layout, or a checkpoint, which is read in place.
        options: what to measure.
        progress: told of rounds as they are done.
        assumed: what was not said and so chosen, for the record.
        keep: given the document so far when a loop is done (the rest is skipped, "not measured
            yet") and when the run ends early and some case was measured: by a signal (the rest is
            skipped, "interrupted") or by a bug, which go on their way after.
        earlier: a run of some of these cases: its finished loops are taken over, not measured.
        scheme_file: of a checkpoint whose own files do not say its scheme.
        tell: told which token ids were chosen, where `options.trace` is `auto`.
        peers: the other ranks, that run the same; None: this process is alone.

    Raises:
        ConfigError: no scheme, no such case, or `earlier` is of another table or machine.
        FormatError: neither a table nor a checkpoint. TierUnavailable: no tier asked for is here.
        EngramError: no case could be measured: why the first could not.
    """
    missing = {tier: reason for tier in options.tiers if (reason := tier_missing(tier))}
    if options.named and len(missing) == len(options.tiers):
        raise TierUnavailable(
            f"no tier asked for is here: {', '.join(options.tiers)}",
            facts=missing, hint="run: engramctl env",
        )  # fmt: skip
    loops = plan_loops(options)
    table = open_rows(path, scheme_file)
    if options.step_ms is not None:
        engine_layers(options, sorted(table.rows.layers))  # refused before anything is measured
    scheme = scheme_of(path, table.scheme)
    chosen = choose_trace(options.trace, path, scheme)
    if chosen.told is not None:
        tell(f"assumed: {chosen.told}; --trace names others")
    told = "; ".join(one for one in (assumed, chosen.told) if one) or None
    with _Run(path, table, options, scheme, missing, loops, chosen, told, peers) as run:
        book = run.book
        if earlier is not None:
            book.go_on_from(earlier, run.document())
            if all(map(book.is_taken_over, loops)):
                return earlier.document
        run.make_ready([loop for loop in loops if not book.is_taken_over(loop)])
        try:
            for loop in loops:
                run.do(loop, progress)
                if keep is not None and loop is not loops[-1] and book.any_measured:
                    keep(run.document())
        except BaseException as error:
            book.end_early(error)
            if keep is not None and book.any_measured:
                keep(run.document())
            raise
        book.refuse_none()
        return run.document()


class _Run:
    """State of one run: what is open, the trace, the cases so far; a context manager."""

    def __init__(
        self,
        path: Path,
        table: Opened,
        options: BenchOptions,
        scheme: Lookup,
        missing: Mapping[str, str],
        loops: list[Loop],
        chosen: Chosen,
        assumed: str | None,
        peers: Peers | None,
    ) -> None:
        self._created_utc = utc_now()
        self._path = path
        self._table = table
        self._options = options
        self._scheme = scheme
        self._missing = missing
        self._chosen = chosen
        self._assumed = assumed
        self.book = Book(loops, self._tiers, missing)
        self._ranked = None if peers is None else RankedRun(peers, table, scheme, options)
        held = table if self._ranked is None else self._ranked.held
        device = None if peers is None else peers.device
        accesses = accesses_of(options.warm, table.rows)
        self._parts = OpenedParts(held, scheme, options, self.book.warn, device, accesses)
        self._memory = None
        if not options.sweep and any(loop.case != "gather" for loop in loops):
            self._memory = wanted_memory(options, scheme)  # refused before anything is measured
            self._parts.refuse_too_large(options)
        measured = {tier for loop in loops for tier in self._tiers(loop)}
        for told in tiers_left_out(options, measured):
            self.book.warn(told)
        self._ceilings = Ceilings(largest_file(path), self._parts.device)
        self._token_ids = TokenIds(chosen, scheme, options)
        if warning := other_rows(chosen.name, scheme.canonical):
            self.book.warn(warning)
        # The last, for this process is changed: a run that is refused leaves it as it was.
        self._threads = self._parts.enter(fixed_threads(options.threads, options.store_threads))
        self._ground = Ground(self._parts.device, self._threads)

    def __enter__(self) -> "_Run":
        return self

    def __exit__(self, *_: object) -> None:
        self._parts.close()

    def document(self) -> dict[str, Any]:
        """Return the result of the cases there are."""
        cases = [case.to_dict() for case in self.book.cases]
        return {
            "schema": SCHEMA,
            "created_utc": self._created_utc,
            "command": typed_words(),
            "environment": capture(self._path),
            "config": {
                **asdict(self._options),
                "threads": self._threads.model,
                "store_threads": self._threads.store,
                "trace": self._chosen.name,
                "assumed": self._assumed,
                "memory": None if self._memory is None else memory_facts(self._memory),
                **folder_facts(self._path, self._table),
                **self._parts.facts(),
            },
            "ceilings": self._ceilings.document(),
            "warnings": self.book.warnings,
            "step_fit": verdict(cases, self._options, sorted(self._scheme.layers)),
            "recipe": recipe_facts(cases, self._options, self._table.rows),
            "cases": cases,
        }

    def make_ready(self, loops: list[Loop]) -> None:
        """Refuse what memory has no room for, then open the dictionary that traffic fills, if any.

        Args:
            loops: that are to be measured.

        Raises:
            StorageError: the rows of their tiers do not fit in memory together.
            EngramError: as `open_store`.
        """
        tiers = dict.fromkeys(tier for loop in loops for tier in self._tiers(loop))
        self._parts.refuse_rows(tier for tier in tiers if tier not in self._missing)
        self._parts.open_filled()

    def do(self, loop: Loop, progress: Progress) -> None:
        """Measure a loop, take it over, or write down why neither is possible."""
        left = num_rounds(loop)

        def advance(rounds: int) -> None:
            nonlocal left
            left -= rounds
            progress(rounds)

        lists = self._token_ids.lists(loop)
        if self.book.is_taken_over(loop):
            self._token_ids.owe(loop, self.book.take_over(loop), lists)
        else:
            try:
                self._measure(loop, lists, advance, progress)
            except AllRefuse as refused:
                self.book.fail(loop, refused.error)
            except (EngramError, MemoryError, RuntimeError) as error:
                if self._ranked is not None:
                    raise  # the other ranks do not know of it: nobody can go on
                self.book.fail(loop, known_error(error))
        if left:
            progress(left)

    def _measure(
        self, loop: Loop, lists: list[list[Window]], progress: Progress, before: Progress
    ) -> None:
        """Measure one loop; every tier gets a case, measured or not.

        Args:
            loop: to be measured.
            lists: of its windows, see `TokenIds.lists`.
            progress: told of rounds.
            before: told of what is looked up before them.
        """
        if self._ranked is not None:
            parts, ground, missing = self._parts, self._ground, self._missing
            cases = self._ranked.cases(loop, parts, ground, missing, lists, progress)
            self._finish(loop, cases, lists[0])
            return
        subjects: dict[str, Subject] = {}
        skipped: dict[str, str] = dict(self._missing)
        for tier in self._tiers(loop):
            if tier not in skipped:
                try:
                    store = self._parts.store(tier)
                    subjects[tier] = Subject(store, self._scheme, loop.cache_of(tier))
                except (StorageError, Unmeasurable, torch.OutOfMemoryError) as error:
                    skipped[tier] = str(error)
        for tier in subjects if loop.cache == TRAFFIC else ():
            self._token_ids.look_up_before(tier, subjects[tier], before)
        models = partial(self._parts.models, loop.options)
        tiers, resident = self._tiers(loop), self._parts.resident_tier
        cases_of = partial(loop_cases, loop.options, loop, tiers, resident, skipped)
        arms = sampled_arms(
            partial(make_arms, loop.options, loop, subjects, self._ground, models, resident),
            subjects, skipped, lists.__getitem__, loop, progress,
            cut=lambda arms: self.book.interrupt(loop, interrupted_cases(cases_of(arms))),
        )  # fmt: skip
        cases = cases_of(arms)
        hold_against(cases, subjects, self._ceilings)
        if loop.case == "step":
            note_residual(cases, models().without, loop.phase, loop.options)
            for case in cases:
                if case.samples_ns:
                    arm = arms.timed[case.tier, case.issue]
                    give_floor(case, loop.options, loop, models(), arm, self._ceilings)
        self._finish(loop, cases, lists[0])

    def _finish(self, loop: Loop, cases: list[Case], windows: list[Window]) -> None:
        """Say what is odd about the cases of a loop, and keep them."""
        if self._token_ids.wrapped:
            self.book.warn("the trace is shorter than the run and was read more than once")
        for case in (one for one in cases if one.samples_ns):
            case.traffic = traffic_of(windows[WARM_UP:])
            case.flags += self._token_ids.flags(loop)
        odd = odd_tokens(windows, self._chosen.name)
        odd += self._parts.odd()
        for warning in (*outliers(cases), *unfair(cases, self._threads), *odd):
            self.book.warn(warning)
        self.book.finish(loop, cases)

    def _tiers(self, loop: Loop) -> tuple[str, ...]:
        baseline = (self._parts.resident_tier,) if loop.case == "step" else ()
        return tuple(dict.fromkeys((*loop.tiers, *baseline)))
