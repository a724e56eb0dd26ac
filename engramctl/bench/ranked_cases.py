"""One rank's part of a run on several: its shard, its mail, and the cases that all ranks agree on.

Every rank runs the same loops. What one alone cannot have is told to all before a loop begins, so
that they leave it out together; what goes wrong later ends the rank, and with it the others.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

import torch

from engramctl.arms.ground import Ground
from engramctl.arms.subject import Subject, Unmeasurable
from engramctl.arms.threads import Threads
from engramctl.arms.window import Window
from engramctl.bench.book import known_error
from engramctl.bench.cases import tokens_of, unmeasured_case
from engramctl.bench.compared import OTHER_THREADS
from engramctl.errors import EngramError
from engramctl.hashing import Lookup
from engramctl.measured.opened import OpenedParts
from engramctl.model.decoder import Decoder
from engramctl.ranks.dealt import Dealt
from engramctl.ranks.exchange import Exchange
from engramctl.ranks.mail import Mail
from engramctl.ranks.measured import RankArms
from engramctl.ranks.peers import Peers
from engramctl.ranks.pipeline import first_of_second_stage, stages_of
from engramctl.results.document import Case
from engramctl.results.ranked import ranked_figures, slowest
from engramctl.results.resolution import resolution_percent
from engramctl.sweep.loops import USUAL_ISSUE, WARM_UP, Loop
from engramctl.sweep.options import BenchOptions
from engramctl.sweep.ranked import SCHEDULES
from engramctl.tables.opened_rows import Opened

# What logits may be off by from those of one process: nothing, but for kernels of a GPU that pick
# another way of summing.
MOST_OFF = {torch.float32: 1e-3, torch.bfloat16: 0.1}


class RankedRun:
    """What a rank has for all loops."""

    def __init__(self, peers: Peers, table: Opened, scheme: Lookup, options: BenchOptions) -> None:
        """Deal the rows.

        Raises:
            ConfigError: there are not enough of them.
        """
        self.peers, self._whole, self._scheme = peers, table, scheme
        self._dealt = Dealt.of(table.rows, scheme, peers.world, options.deal)
        self._part = self._dealt.part(table.rows, peers.rank)
        self.held = replace(table, rows=self._part.source)

    def cases(
        self,
        loop: Loop,
        parts: OpenedParts,
        ground: Ground,
        missing: Mapping[str, str],
        windows: Sequence[Sequence[Window]],
        progress: Callable[[int], None],
    ) -> list[Case]:
        """Measure a loop with all ranks; every tier of it has a case.

        Args:
            loop: what is measured.
            parts: the stores of this rank's shard, and the model.
            ground: under every sample.
            missing: why this machine lacks a tier.
            windows: LISTS of them.
            progress: told of rounds.

        Raises:
            AllRefuse: a rank has no model; on all ranks.
            LostPeers: a rank is gone.
        """
        model = self._model(loop, parts)
        found = []
        for tier in loop.tiers:
            skipped = missing.get(tier)
            if skipped is None:
                told = progress if tier == loop.tiers[-1] else lambda rounds: None
                arms, skipped = self._measured(tier, loop, parts, model, ground, windows, told)
            if skipped is None and arms is not None:
                of_ranks = self.peers.each(arms.told())
                found.append(self._case(loop, tier, arms.subject, of_ranks, model, ground.threads))
            else:
                place = tier, USUAL_ISSUE
                found.append(unmeasured_case(loop.options, loop, place, "skipped", skipped))
        return found

    def _model(self, loop: Loop, parts: OpenedParts) -> Decoder:
        model, refused = None, None
        try:
            model = parts.models(loop.options).with_memory
        except (EngramError, MemoryError, RuntimeError) as error:
            refused = known_error(error)
        self.peers.refuse_together(refused)
        assert model is not None
        return model

    def _measured(
        self,
        tier: str,
        loop: Loop,
        parts: OpenedParts,
        model: Decoder,
        ground: Ground,
        windows: Sequence[Sequence[Window]],
        progress: Callable[[int], None],
    ) -> tuple[RankArms | None, str | None]:
        """Return the arms of a tier, sampled; or why some rank cannot have it."""
        subject, why = None, None
        try:
            subject = Subject(parts.store(tier), self._scheme, loop.cache_of(tier))
        except (EngramError, Unmeasurable, torch.OutOfMemoryError) as error:
            why = str(error)
        for rank, told in enumerate(self.peers.each(why)):
            if told is not None:
                return None, f"rank {rank}: {told}"
        assert subject is not None
        with Exchange(self.peers) as exchange:
            mail = Mail(subject, self._part, self._dealt, exchange, stages_of(model.config))
            context = loop.options.context if loop.phase == "decode" else 0
            arms = RankArms(tier, subject, ground, mail, self._whole.rows, model, context)
            try:
                arms.measure(windows, WARM_UP, progress)
            except Unmeasurable as error:
                return None, str(error)
        return arms, None

    def _case(
        self,
        loop: Loop,
        tier: str,
        subject: Subject,
        told: Sequence[Mapping[str, Any]],
        model: Decoder,
        threads: Threads,
    ) -> Case:
        """Return the case that all ranks' samples make, the same on every rank."""
        options, store = loop.options, subject.store
        tokens = tokens_of(options, loop.phase)
        first = next(iter(SCHEDULES))
        samples = slowest([rank["schedules"][first]["samples_ns"] for rank in told])
        case = Case(
            name=loop.case, phase=loop.phase, tier=tier, cache=subject.cache, loop=loop.cache,
            issue=USUAL_ISSUE, rows=told[0]["rows"], tokens=tokens, batch=options.batch,
            samples_ns=samples,
            copy_samples_ns=slowest([rank["copy"] for rank in told]),
            fetch_samples_ns=slowest([rank["alone"] for rank in told]),
            engine=store.engine, mode=store.mode, fallback=store.stats().fallback,
            state=subject.state, state_reason=subject.state_reason,
            resident_percent=subject.resident_percent,
        )  # fmt: skip
        case.resolution_percent = resolution_percent(case.samples_ns, case.copy_samples_ns)
        case.useful_bytes = case.rows * store.table.record.record_bytes
        case.check = {name: sum(rank["check"][name] for rank in told) for name in case.check}
        other = next((rank["threads"] for rank in told if rank["threads"] != threads), None)
        case.threads = asdict(other or threads)
        if other is not None:
            case.flags.append(OTHER_THREADS)
        case.ranks = {
            "number": self.peers.world,
            "dealt": self._dealt.shard,
            "backend": self.peers.backend,
            "second_stage": first_of_second_stage(model.config),
            **ranked_figures(told, SCHEDULES, tokens),
        }
        off = case.ranks["logits_off"]
        if case.check["mismatches"]:
            case.status, case.reason = "failed", "exchanged rows differ from the plain reader's"
        elif not off <= MOST_OFF[model.dtype]:
            case.status, case.reason = "failed", f"logits are off by {off:.2g} from one process's"
        return case
