"""The result document, `engramctl.bench/2`: every sample kept, units in the keys.

Nothing in a case is derived that cannot be computed again from samples: its own, those of the
second copy, those of the cases it is compared with.
"""

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Any

from engramctl.errors import EngramError
from engramctl.results.launch_bound import NO_MHC
from engramctl.storage.tiers.tier_list import TIERS

SCHEMA = "engramctl.bench/2"
FIRST_SCHEMA = "engramctl.bench/1"
SCHEMAS = (SCHEMA, FIRST_SCHEMA)  # what is read
NONE = "none"  # in the place of a tier: the model without memory
READY = "ready"  # the model with memory, its rows in place when a step begins
LEAST_SAMPLES = 5  # what a resolution needs
LEAST_FOR_P99 = 100  # so that a sample lies beyond it

_NO_TRAFFIC: dict[str, float | None] = {"top_token_percent": None, "repeated_percent": None}

LoopName = tuple[str, str, str, str]  # case, phase, loop, axes


def loop_name(case: str, phase: str, loop: str, axes: Mapping[str, Any]) -> LoopName:
    """Return what the cases of one loop share, and no other case has."""
    return (case, phase, loop, json.dumps(axes, sort_keys=True))


def utc_now() -> str:
    """Return the time of the day as a result has it: ISO 8601, UTC, whole seconds."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def percentile(samples: Sequence[int], percent: float) -> int:
    """Return the nearest-rank percentile.

    Example:
        >>> percentile([5, 1, 3], 50), percentile(range(1, 101), 99)
        (3, 99)
    """
    ordered = sorted(samples)
    rank = -(-len(ordered) * percent // 100)
    return int(ordered[max(0, int(rank) - 1)])


def p99(samples: Sequence[int]) -> int | None:
    """Return the 99th percentile where a sample lies beyond it, else None.

    Example:
        >>> p99(range(1, 101)), p99(range(1, 100))
        (99, None)
    """
    return percentile(samples, 99) if len(samples) >= LEAST_FOR_P99 else None


# Fields of StoreStats: what a sample adds to them, and what they are in the end.
SAVED = (
    "cache_hits", "cache_misses", "cache_rows_missed", "chance_hits", "dictionary_hits", "log_hits",
    "record_reads", "log_bytes_written",
)  # fmt: skip
KEPT = ("cache_rows", "cache_bytes", "log_entries", "index_bytes")
# Groups of figures, none of which is known.
_UNKNOWN: dict[str, dict[str, float | None]] = {
    "against": dict.fromkeys(("none_percent", "resident_percent", "ready_percent")),
    "hidden": dict.fromkeys(("percent", "resolution_percent")),
    "bytes_per_token": dict.fromkeys(("gpu", "host", "page_cache", "row_cache", "disk")),
    "rows_by_tier": dict.fromkeys(TIERS),
    "saved": dict.fromkeys(SAVED),
    "kept": dict.fromkeys(KEPT),
}


@dataclass
class Case:
    """One point of the sweep; a case that could not run keeps its place and says why.

    Attributes:
        name: gather, lookup, step or ranks.
        phase: decode (one token a sequence) or prefill.
        tier: gpu, host, ssd, or a mixture such as host:1GiB,ssd; NONE for the model without memory,
            READY for rows that are in place.
        cache: warm, cold or traffic; None where no store is read.
        issue: when a step asks for its rows: before it (the ids are known when it is prepared), at
            its start, in the layer; None where no step asks.
        loop: warm, cold or traffic: arms of one case, phase, loop and axes were measured
            interleaved.
        id: the same in every run that measures the same, see `engramctl.sweep.axes.case_id`.
        axes: its place in the sweep: the value of every option that may be swept, None of one that
            changes nothing of the case.
        traffic: of the token ids of all samples, in percent: `top_token_percent` that are the
            most frequent one, `repeated_percent` of samples whose ids an earlier one had.
        engine: what read the rows.
        mode: memory; on ssd mapped (the page cache is the cache) or direct (past it, in a budget).
        fallback: what the engine could not have and did without; None: nothing.
        state: cold or warm when that was proved, else unproved; traffic; None without a memory.
        state_reason: why it is not proved.
        rows: rows a sample, all layers; 0 for `none`.
        tokens: tokens a sample, all sequences.
        useful_bytes: bytes of those records.
        device_bytes: bytes the disk delivered a sample, as the kernel counts them for this
            process; None where it does not.
        device_reads: runs of pages asked for a sample; None where no disk is read.
        asked_bytes: bytes of those pages; the page cache may have had some of them.
        unique_rows: distinct rows a sample, each layer's of a request counted alone.
        rows_by_tier: of these, those that each tier served, by its name in TIERS; None of one
            without rows.
        tokens_before: of the state traffic, tokens looked up in the store before the first sample.
        saved: of a store that reads past the page cache, means a sample of what it counts: row ids
            found in its row cache (`cache_hits`), of these rows that another n-gram had brought
            (`chance_hits`), row ids that were not there (`cache_misses`), distinct rows of these
            (`cache_rows_missed`, of `unique_rows`), n-grams served by a record of the mined
            dictionary (`dictionary_hits`) or of the self-filled log (`log_hits`), reads of such
            records (`record_reads`), bytes written to the log (`log_bytes_written`).
        kept: what that store has in memory when the loop ends: `cache_rows`, `cache_bytes` of its
            row cache, `log_entries` n-grams that its log knows, `index_bytes` of what finds
            n-grams' records.
        queue_depth: most reads that were under way at once, since the store was opened.
        resolution_percent: of the loop, see `engramctl.results.resolution`.
        copy_samples_ns: samples of the arm's second copy, round by round; one arm a loop has one.
        fetch_samples_ns: of a step, what its fetch took without a model, round by round.
        stall_ns: median time a step waited for rows; None where no store is read.
        lead_ns: median time of asking and until the step begins; None but for the issue `before`.
        layers: of each layer of the table, see `engramctl.results.overlap.layer_times`; None where
            no store is read.
        hidden: see `engramctl.results.overlap.hidden_share`.
        floor: ns, flops and bytes, the least this machine could take; None but for steps.
        bytes_per_token: of rows by where they are read from; None where that is not known.
        threads: of model and store, with which samples ended: where one did not end with the
            run's, its own.
        graphs: whether a step was replayed from CUDA graphs; None but for steps.
        graphs_reason: why it was not.
        flags: why the case cannot be compared.
        against: median over the same loop's median, minus one, in percent: against the model
            without memory, against a table on the compute device (asked for at the same time), and
            against rows that are ready.
        mhc: of a model step: how the residual runs (`kernels`, `threads`), its
            `launches_per_sublayer`, the `time_ns` of all sublayers, the `floor_ns` of moving their
            bytes, and whether it is `launch_bound`; see `engramctl.results.launch_bound`.
        ranks: of a run on several ranks, see `engramctl.results.ranked.ranked_figures`; else None.
    """

    name: str
    phase: str
    tier: str
    cache: str | None
    loop: str
    id: str | None = None
    axes: dict[str, Any] = field(default_factory=dict)
    traffic: dict[str, float | None] = field(default_factory=lambda: dict(_NO_TRAFFIC))
    engine: str | None = None
    mode: str | None = None
    fallback: str | None = None
    state: str | None = None
    state_reason: str | None = None
    rows: int = 0
    tokens: int = 0
    batch: int = 1
    issue: str | None = None
    status: str = "ok"
    reason: str | None = None
    resolution_percent: float | None = None
    samples_ns: list[int] = field(default_factory=list)
    copy_samples_ns: list[int] = field(default_factory=list)
    fetch_samples_ns: list[int] = field(default_factory=list)
    useful_bytes: int = 0
    device_bytes: float | None = None
    device_reads: float | None = None
    asked_bytes: float | None = None
    unique_rows: float | None = None
    rows_by_tier: dict[str, float | None] = field(
        default_factory=lambda: dict(_UNKNOWN["rows_by_tier"])
    )
    tokens_before: int | None = None
    saved: dict[str, float | None] = field(default_factory=lambda: dict(_UNKNOWN["saved"]))
    kept: dict[str, float | None] = field(default_factory=lambda: dict(_UNKNOWN["kept"]))
    queue_depth: int | None = None
    resident_percent: dict[str, float | None] = field(
        default_factory=lambda: {"before": None, "after": None}
    )
    ceiling_rows_per_s: float | None = None
    stall_ns: int | None = None
    lead_ns: int | None = None
    layers: list[dict[str, Any]] | None = None
    hidden: dict[str, float | None] = field(default_factory=lambda: dict(_UNKNOWN["hidden"]))
    floor: dict[str, int] | None = None
    bytes_per_token: dict[str, float | None] = field(
        default_factory=lambda: dict(_UNKNOWN["bytes_per_token"])
    )
    threads: dict[str, int] | None = None
    graphs: bool | None = None
    graphs_reason: str | None = None
    flags: list[str] = field(default_factory=list)
    against: dict[str, float | None] = field(default_factory=lambda: dict(_UNKNOWN["against"]))
    check: dict[str, int] = field(default_factory=lambda: {"rows": 0, "mismatches": 0})
    mhc: dict[str, Any] = field(default_factory=NO_MHC.copy)
    ranks: dict[str, Any] | None = None

    @property
    def loop_name(self) -> LoopName:
        """What it shares with the cases it was measured with."""
        return loop_name(self.name, self.phase, self.loop, self.axes)

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form, with the figures the samples give."""
        p50 = percentile(self.samples_ns, 50) if self.samples_ns else None
        return asdict(self) | {
            "p50_ns": p50,
            "p90_ns": percentile(self.samples_ns, 90) if self.samples_ns else None,
            "p99_ns": p99(self.samples_ns),
            "tokens_per_s": self.tokens / p50 * 1e9 if p50 and self.tokens else None,
            "exposed_ns": self._exposed_ns(),
            "rows_per_s": round(self.rows / p50 * 1e9) if p50 and self.rows else None,
        }

    def _exposed_ns(self) -> int | None:
        """Return the exposed stall of all layers; None where one is not known."""
        of_layers = [layer["exposed_ns"] for layer in self.layers or ()]
        return None if None in of_layers or not of_layers else sum(of_layers)


def percent_over(ours: Sequence[int], theirs: Sequence[int]) -> float | None:
    """Return how much longer our median is than theirs, in percent."""
    if not ours or not theirs:
        return None
    return (statistics.median(ours) / statistics.median(theirs) - 1) * 100


_LATER: dict[str, Any] = {  # keys that older cases lack
    **dict.fromkeys(
        (
            "mode", "fallback", "state", "state_reason", "asked_bytes", "unique_rows",
            "queue_depth", "issue", "lead_ns", "layers", "floor", "threads", "tokens_per_s",
            "exposed_ns", "id", "graphs", "graphs_reason", "ranks", "tokens_before",
        )
    ),
    "fetch_samples_ns": [], "flags": [], "axes": {}, "traffic": _NO_TRAFFIC, "mhc": NO_MHC,
}  # fmt: skip


def _with_later(case: Mapping[str, Any]) -> dict[str, Any]:
    known = dict(case) | {name: value for name, value in _LATER.items() if name not in case}
    if case["name"] == "ranks":  # older ones left unsaid what there is no choice of
        known["issue"] = "start"
    if "p90_ns" not in case:
        known["p90_ns"] = percentile(case["samples_ns"], 90) if case["samples_ns"] else None
    return known | {name: group | known.get(name, {}) for name, group in _UNKNOWN.items()}


def as_current(document: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return a result as `engramctl.bench/2` has it, or None when it is no result.

    What older ones do not say of themselves, when and by which words they were made, is None.
    `engramctl.bench/1` had one resolution, of the first decode loop with a model, for all cases,
    and called the largest of a few samples p99.

    Raises:
        LookupError, TypeError: a result with parts missing.
    """
    unsaid: dict[str, Any] = dict.fromkeys(("created_utc", "command", "step_fit", "recipe"))
    if document["schema"] == SCHEMA:
        return (
            unsaid | dict(document) | {"cases": [_with_later(case) for case in document["cases"]]}
        )
    if document["schema"] != FIRST_SCHEMA:
        return None
    resolution = document["resolution_percent"]
    cases = [
        _with_later(case)
        | {"resolution_percent": resolution if case["samples_ns"] else None}
        | {"copy_samples_ns": [], "p99_ns": p99(case["samples_ns"])}
        for case in document["cases"]
    ]
    rest = {name: value for name, value in document.items() if name != "resolution_percent"}
    return unsaid | rest | {"schema": SCHEMA, "cases": cases}


def refuse_mismatches(document: Mapping[str, Any]) -> None:
    """Raise when a case returned wrong rows, whose times mean nothing, or could not be measured.

    Raises:
        EngramError: the first such case; one with wrong rows before others.
    """
    cases = document["cases"]
    failed = [case for case in cases if case["status"] == "failed"]
    for case in sorted(failed, key=lambda one: not one["check"]["mismatches"]):
        wrong = case["check"]["mismatches"]
        raise EngramError(
            f"{case['name']} {case['phase']} on {case['tier']}: {case['reason']}",
            facts=case["check"] if wrong else {"failed": f"{len(failed)} of {len(cases)} cases"},
            hint="run: engramctl verify on the folder"
            if wrong
            else "the others are in the result; --resume measures those that failed",
        )
