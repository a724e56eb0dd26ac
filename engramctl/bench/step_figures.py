"""What a case says beside its samples: waits layer by layer, what was hidden, floor, bytes."""

import statistics

from engramctl.arms.arm import Arm
from engramctl.arms.sequences import SequencesArm
from engramctl.bench.loop_arms import LoopArms, Place
from engramctl.machine.ceilings import Ceilings
from engramctl.machine.floor import call_floor
from engramctl.measured.model import Models
from engramctl.results.document import NONE, READY, Case
from engramctl.results.overlap import hidden_share, layer_times
from engramctl.storage.tiers.tier_list import on_disk
from engramctl.sweep.axes import SEQUENCES
from engramctl.sweep.loops import Loop
from engramctl.sweep.options import BenchOptions


def give_layers(case: Case, arms: LoopArms, place: Place, resident_tier: str) -> None:
    """Fill in what is known layer by layer: waits of a lookup or step, arrivals of a fetch.

    A step's exposed stall is over the waits of the resident tier, asked at the same issue point;
    its arrivals are those of the fetch without a model.
    """
    arm = arms.timed[place]
    if arm.subject is None:
        return
    issue = place[1]
    is_step = case.name == "step"
    resident = arms.timed.get((resident_tier, issue)) if is_step else None
    copied = arms.timed[arms.copied] if arms.copied is not None else None
    case.layers = layer_times(
        dict.fromkeys(arm.subject.store.layers),
        {} if case.name == "gather" else arm.waits_ns,
        {} if resident is None or resident is arm else resident.waits_ns,
        [{} if one is None or not is_step else one.waits_ns for one in (copied, arms.copy)],
        _arrivals(arms, place),
    )  # fmt: skip
    if is_step and arm is copied and arms.copy is not None:
        for one in case.layers:
            one["copy_wait_samples_ns"] = arms.copy.waits_ns.get(one["layer"], [])


def give_hidden(case: Case, arms: LoopArms, place: Place) -> None:
    """Fill in what a step hides of its fetch, and how long before the step it asked."""
    arm, ready = arms.timed[place], arms.timed.get((READY, None))
    if arm.subject is None or place[0] not in arms.fetches:
        return
    case.fetch_samples_ns = arms.fetches[place[0]].samples_ns
    compute = [] if ready is None else ready.samples_ns
    case.hidden = hidden_share(
        compute, case.fetch_samples_ns, arm.samples_ns, case.resolution_percent
    )
    if case.issue == "before" and arm.leads_ns:
        case.lead_ns = round(statistics.median(arm.leads_ns))


def give_bytes(case: Case, arm: Arm) -> None:
    """Fill in where the bytes of a token's rows come from.

    Of a mapped file the kernel says what its disk delivered, and which share of the pages was in
    memory before a sample (the worst one); that share of the rows' bytes is the page cache's. The
    row cache counts itself, what a GPU of a mixture served are distinct rows.
    """
    if arm.subject is None or not case.tokens:
        return
    useful = case.useful_bytes / case.tokens
    found = case.bytes_per_token
    served = {tier: rows for tier, rows in case.rows_by_tier.items() if rows is not None}
    for tier, rows in served.items():
        if tier == "gpu" or not on_disk(case.tier):
            found[tier] = useful * rows / sum(served.values())
    if not on_disk(case.tier):
        return
    useful -= found["gpu"] or 0.0
    found["disk"] = None if case.device_bytes is None else case.device_bytes / case.tokens
    if case.mode == "direct":
        found["page_cache"] = 0.0
        if case.kept["cache_bytes"]:
            hits, misses = case.saved["cache_hits"] or 0, case.saved["cache_misses"] or 0
            found["row_cache"] = useful * hits / (hits + misses) if hits + misses else 0.0
    elif (before := case.resident_percent["before"]) is not None:
        found["page_cache"] = useful * before / 100


def give_floor(
    case: Case, options: BenchOptions, loop: Loop, models: Models, arm: Arm, ceilings: Ceilings
) -> None:
    """Fill in the least time that a step could take on this machine; where its rows feed in too."""
    model = models.without if case.tier == NONE else models.with_memory
    memory = model.config.memory
    at = {} if memory is None else {layer: position for position, layer in memory.layers}
    for one in case.layers or ():
        one["at"] = at.get(one["layer"])
    if loop.phase == SEQUENCES:
        return  # many calls of many shapes: no one floor
    decodes = loop.phase == "decode"
    values = 0 if memory is None else memory.row_dim * model.dtype.itemsize
    record = arm.subject.store.table.record.record_bytes if arm.subject else values
    case.floor = call_floor(
        model.config, options.batch, 1 if decodes else options.tokens,
        options.context if decodes else 0, model.dtype, record, ceilings,
    )  # fmt: skip


def _arrivals(arms: LoopArms, place: Place) -> dict[int, list[int]]:
    """Return when a fetch alone has its rows: none is known of whole sequences."""
    fetch = arms.fetches.get(place[0])
    arm = arms.timed[place]
    if fetch is None:
        return {} if isinstance(arm, SequencesArm) else arm.arrivals_ns
    return fetch.arrivals_ns
