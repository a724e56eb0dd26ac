"""What was measured of an arm, or why it was not -> a case of the result."""

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, replace

from engramctl.arms.arm import SERVED
from engramctl.arms.sequences import num_calls, spread_lengths
from engramctl.arms.subject import Subject
from engramctl.bench.compared import OTHER_THREADS, compare, threads_of
from engramctl.bench.loop_arms import LoopArms, Place, places
from engramctl.bench.saved_reads import give_saved
from engramctl.bench.step_figures import give_bytes, give_hidden, give_layers
from engramctl.machine.ceilings import Ceilings
from engramctl.machine.disk_probe import PAGE
from engramctl.model.decoder import Decoder
from engramctl.model.residual_time import residual_time
from engramctl.results.document import LEAST_SAMPLES, NONE, READY, Case
from engramctl.results.earlier import INTERRUPTED
from engramctl.results.launch_bound import launch_bound, over_floor_percent
from engramctl.results.resolution import resolution_percent
from engramctl.storage.tiers.tier_list import on_disk, read_tiers
from engramctl.sweep.axes import SEQUENCES
from engramctl.sweep.loops import Loop
from engramctl.sweep.options import BenchOptions


def measured_case(
    options: BenchOptions, loop: Loop, arms: LoopArms, place: Place, resident_tier: str
) -> Case:
    """Return the case of one arm of a finished loop.

    Args:
        options: of the run.
        loop: what was measured.
        arms: all arms of the loop.
        place: the arm's.
        resident_tier: the baseline that costs no transfer.
    """
    arm = arms.timed[place]
    tier, issue = place
    tokens = tokens_of(options, loop.phase)
    case = Case(
        name=loop.case, phase=loop.phase, tier=tier, cache=None, loop=loop.cache, issue=issue,
        rows=arm.rows, tokens=tokens, batch=options.batch, samples_ns=arm.samples_ns,
    )  # fmt: skip
    case.threads = threads_of(arm)
    case.graphs, case.graphs_reason = arm.graphs
    if loop.case == "step":
        compare(case, arms, place, resident_tier)
    elif arm.other_threads():
        case.flags.append(OTHER_THREADS)
    subject = arm.subject
    if subject is None:
        return case
    case.cache = subject.cache
    case.engine, case.mode = subject.store.engine, subject.store.mode
    case.state, case.state_reason = subject.state, subject.state_reason
    case.fallback = subject.store.stats().fallback
    case.useful_bytes = arm.rows * subject.store.table.record.record_bytes
    case.unique_rows = _mean(arm.counted["rows_unique"])
    case.resident_percent = subject.resident_percent
    case.check = {"rows": subject.checked_rows, "mismatches": subject.mismatches}
    case.stall_ns = None if loop.case == "gather" else _median(arm.stalls_ns())
    case.rows_by_tier = {
        tier: _mean(arm.counted[name]) if read_tiers(case.tier).uses(tier) else None
        for tier, name in SERVED.items()
    }
    if on_disk(tier):
        case.device_bytes = _mean(arm.device_bytes)
        case.device_reads = _mean(arm.counted["device_reads"])
        case.asked_bytes = _mean(arm.counted["device_bytes"])
        case.queue_depth = subject.store.stats().queue_depth
        give_saved(case, arm)
    if subject.mismatches:
        case.status, case.reason = "failed", "gathered rows differ from the plain reader's"
    return case


def loop_cases(
    options: BenchOptions,
    loop: Loop,
    tiers: tuple[str, ...],
    resident_tier: str,
    skipped: Mapping[str, str],
    arms: LoopArms,
) -> list[Case]:
    """Return a case of every tier of a loop, measured or not, the model without memory first.

    Args:
        options: of the run.
        loop: what was measured.
        tiers: of the loop, baselines included.
        resident_tier: the baseline that costs no transfer.
        skipped: why a tier has no arm.
        arms: that were measured.
    """
    bound = None
    if arms.copied is not None and arms.copy is not None:
        ours, theirs = arms.timed[arms.copied].samples_ns, arms.copy.samples_ns
        pairs = min(len(ours), len(theirs))
        bound = resolution_percent(ours[:pairs], theirs[:pairs])
    cases = []
    for place in dict.fromkeys(((NONE, None), (READY, None), *places(options, loop, tiers))):
        if place in arms.timed:
            case = measured_case(options, loop, arms, place, resident_tier)
            case.resolution_percent = bound
            give_layers(case, arms, place, resident_tier)
            give_hidden(case, arms, place)
            give_bytes(case, arms.timed[place])
            if arms.copy is not None and place == arms.copied:
                case.copy_samples_ns = arms.copy.samples_ns
            cases.append(case)
        elif place[0] not in (NONE, READY):
            cases.append(unmeasured_case(options, loop, place, "skipped", skipped.get(place[0])))
    return cases


def hold_against(
    cases: Sequence[Case], subjects: Mapping[str, Subject], ceilings: Ceilings
) -> None:
    """Give measured cases on host and ssd the most rows a second there could be.

    Cold rows are held against the disk's best rate of random pages, warm ones, where none is on a
    GPU, against one core's rate of random cache lines; those after traffic come from both.
    """
    for case in cases:
        subject = subjects.get(case.tier)
        if subject is None or not case.samples_ns:
            continue
        if case.cache == "cold" and case.asked_bytes:
            case.ceiling_rows_per_s = ceilings.of_disk(case.asked_bytes / PAGE / case.rows)
        elif case.cache == "warm" and not read_tiers(case.tier).uses("gpu"):
            record_bytes = subject.store.table.record.record_bytes
            case.ceiling_rows_per_s = ceilings.of_memory(record_bytes)


def note_residual(cases: Sequence[Case], model: Decoder, phase: str, options: BenchOptions) -> None:
    """Give measured steps what their residual takes, and whether its launches dominate.

    Of whole sequences all calls count as decode steps of the whole batch.
    """
    tokens = options.tokens if phase == "prefill" else 1
    graphed = any(case.graphs for case in cases)
    found = residual_time(model, options.batch, tokens, graphed=graphed)
    if phase == SEQUENCES:
        calls = num_calls(options.batch, *options.lengths)
        found = replace(found, time_ns=calls * found.time_ns, floor_ns=calls * found.floor_ns)
    for case in cases:
        if case.samples_ns:
            step_ns = statistics.median(case.samples_ns)
            case.mhc = asdict(found) | {
                "over_floor_percent": over_floor_percent(found.time_ns, found.floor_ns, step_ns),
                "launch_bound": launch_bound(found.time_ns, found.floor_ns, step_ns),
            }


def interrupted_cases(cases: list[Case]) -> list[Case]:
    """Return the cases of a loop that a signal ended, as unfinished; none when samples are few."""
    measured = [case for case in cases if case.engine or case.tier in (NONE, READY)]
    if min((len(case.samples_ns) for case in measured), default=0) < LEAST_SAMPLES:
        return []
    for case in measured:
        if case.status == "ok":
            case.status, case.reason = "skipped", INTERRUPTED
    return cases


def unmeasured_case(
    options: BenchOptions, loop: Loop, place: Place, status: str, reason: str | None
) -> Case:
    """Return the case of an arm without samples; `status` is skipped or failed."""
    tier, issue = place
    return Case(
        name=loop.case, phase=loop.phase, tier=tier, cache=loop.cache_of(tier), loop=loop.cache,
        issue=issue, status=status, reason=reason, batch=options.batch,
    )  # fmt: skip


def outliers(cases: Sequence[Case]) -> list[str]:
    """Say which cases have samples that something else than the lookup must have delayed."""
    return [
        f"{case.name} {case.phase} on {case.tier} ({case.loop} loop) has samples over "
        "20 times the median: other work on this machine, or its disk"
        for case in cases
        if case.samples_ns and max(case.samples_ns) > 20 * statistics.median(case.samples_ns)
    ]


def tokens_of(options: BenchOptions, phase: str) -> int:
    """Return the tokens of a sample, all sequences."""
    if phase == SEQUENCES:
        return int(spread_lengths(options.batch, *options.lengths).sum())
    return options.batch * (1 if phase == "decode" else options.tokens)


def _median(values: list[int]) -> int | None:
    return round(statistics.median(values)) if values else None


def _mean(values: list[int]) -> float | None:
    return statistics.fmean(values) if values else None
