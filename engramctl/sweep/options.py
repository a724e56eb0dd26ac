"""What a run of `engramctl bench` measures, checked when made; needs no torch."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

from engramctl.arms.issue import ISSUES
from engramctl.errors import ConfigError, unknown
from engramctl.layers.config import DecoderConfig
from engramctl.layers.fusions import KINDS
from engramctl.model.presets import PRESETS
from engramctl.model.settings import read_settings, shape_of
from engramctl.results.document import LEAST_SAMPLES
from engramctl.results.states import STATES, TRAFFIC
from engramctl.storage.tiers.tier_list import TIERS, is_mixture, on_disk, read_tiers
from engramctl.sweep.axes import CASES, NAMES, PHASES, RANKS, SEQUENCES
from engramctl.sweep.fill import refuse_fill
from engramctl.sweep.mixtures import refuse_memory
from engramctl.sweep.ranked import SHARDS, refuse_ranks

CACHES = (*STATES, "both")
RESIDUALS = ("none", "hc", "mhc", "single_pass")
FUSIONS = tuple(KINDS)
MHCS = ("fused", "eager")
ENGINES = ("auto", "io_uring", "pread", "willneed")
MODEL_DTYPES = ("f32", "bf16")
MOST = 1 << 24  # samples, sequences, tokens: more is a slip of the hand


@dataclass(frozen=True)
class BenchOptions:
    """One run, or one point of its sweep.

    Attributes:
        tiers: tiers to measure, of TIERS, or mixtures of them; each by the name that `read_tiers`
            gives it, however it was spelled.
        named: whether the caller named them; then a run that can measure none of them fails.
        cases: of CASES (with `ranks`, RANKS alone), or IDs of cases or their beginnings, cut at a
            dot.
        cache: state of the ssd tier's memory, of CACHES.
        samples: timed lookups of a decode gather; larger work takes fewer, see `num_samples`.
        batch: sequences a sample.
        tokens: tokens a sequence in a prefill sample.
        context: tokens in the KV cache before decode steps are timed.
        preset: of the model, of PRESETS.
        residual: residual mode of the model.
        mhc: how its residual runs, of MHCS: in fused kernels, or as plain torch operations.
        settings: `key=value` words, sizes of the model other than its preset's.
        layers: how many of the model's layers are kept, the first ones; None: all.
        model_dtype: of weights, cache and rows, of MODEL_DTYPES; None: f32 on a CPU, bf16 on a GPU.
        seed: of token ids and model weights.
        trace: `uniform`, `zipf`, a Parquet file, folder or glob of token ids, or `auto`: real text
            where some is at hand, else `zipf`.
        fusion: how rows enter the model, of FUSIONS; None: as the table's scheme says.
        memory_layers: decoder layers with a memory, from 0 on, `1,4`, or `input`; None: see
            `engramctl.model.memory_of`.
        budget_bytes: memory of the ssd tier, which then reads past the page cache; None: the page
            cache is its memory.
        row_cache_bytes: of that memory, what keeps rows that were read; None: as `open_store`.
        warm: a counts folder, whose most read rows the row cache holds from the beginning; None:
            it begins empty.
        after: tokens of the trace that are looked up before the first sample in the state TRAFFIC.
        fill: a file, the dictionary that the ssd tier fills from what it is asked for in the state
            TRAFFIC; None: it fills none.
        fill_size_bytes: of that file at most; None: as `SelfFilled`.
        write_budget_bytes: most that is written to it, for each token; None: the same.
        engine: what reads on the ssd tier, of ENGINES.
        issues: when a step asks for its rows, of ISSUES; each is measured.
        threads: of the model, torch's; None: as many as torch takes.
        store_threads: that gather the rows of large requests; None: as many as the model's.
        sequences: whole ones that are read in the phase `sequences`, `batch` at a time.
        lengths: of the shortest and the longest of them.
        recipe: of which these options are, see `engramctl.sweep.recipes`; None: of none.
        step_ms: of somebody's engine, for the verdict of `step_fit`; None: no verdict.
        step_layers: of that engine; None: the preset's.
        ranks: processes that the sequences, the model and the table are dealt to; None: one, and
            the cases of CASES. A multiple of twice as many sequences are in a sample.
        deal: what of the table is dealt to them, of SHARDS; None: heads, where each rank
            gets one.
        sweep: all values of every axis that has several; its field above holds the first.

    Raises:
        ConfigError: a value outside its choices or range.
    """

    tiers: tuple[str, ...] = TIERS
    named: bool = False
    cases: tuple[str, ...] = CASES
    cache: str = "both"
    samples: int = 200
    batch: int = 1
    tokens: int = 512
    context: int = 64
    preset: str = "small"
    residual: str = "mhc"
    mhc: str = "fused"
    settings: tuple[str, ...] = ()
    layers: int | None = None
    model_dtype: str | None = None
    seed: int = 0
    trace: str = "auto"
    fusion: str | None = None
    memory_layers: str | None = None
    budget_bytes: int | None = None
    row_cache_bytes: int | None = None
    warm: str | None = None
    after: int = 0
    fill: str | None = None
    fill_size_bytes: int | None = None
    write_budget_bytes: int | None = None
    engine: str = "auto"
    issues: tuple[str, ...] = ("start",)
    threads: int | None = None
    store_threads: int | None = None
    sequences: int = 512
    lengths: tuple[int, int] = (100, 1024)
    recipe: str | None = None
    step_ms: float | None = None
    step_layers: int | None = None
    ranks: int | None = None
    deal: str | None = None
    sweep: Mapping[str, Sequence[Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse what cannot be measured."""
        names = dict.fromkeys(read_tiers(one).name for one in self.tiers)
        object.__setattr__(self, "tiers", tuple(names))
        known_cases = CASES if self.ranks is None else (RANKS,)
        for option, values, known in (
            ("--case", tuple(one.partition(".")[0] for one in self.cases), known_cases),
            ("--cache", (self.cache,), CACHES),
            ("--preset", (self.preset,), PRESETS),
            ("--residual", (self.residual,), RESIDUALS),
            ("--mhc", (self.mhc,), MHCS),
            ("--engine", (self.engine,), ENGINES),
            ("--model-dtype", (self.model_dtype or "f32",), MODEL_DTYPES),
            ("--fusion", () if self.fusion is None else (self.fusion,), FUSIONS),
            ("--issue", self.issues, ISSUES),
            ("--deal", () if self.deal is None else (self.deal,), SHARDS),
        ):
            for value in values:
                if value not in known:
                    raise unknown(option, value, known)
        for option, number in (
            ("--samples", self.samples),
            ("--batch", self.batch),
            ("--tokens", self.tokens),
            ("--context", self.context),
            ("--threads", self.threads),
            ("--store-threads", self.store_threads),
            ("--step-layers", self.step_layers),
            ("--sequences", self.sequences),
            ("--lengths", self.lengths[0]),
            ("--lengths", self.lengths[1]),
            ("--ranks", self.ranks),
        ):
            if number is None:
                continue
            if number < 1:
                raise ConfigError(f"{option} must be at least 1", facts={"found": number})
            if number > MOST:
                raise ConfigError(f"{option} must be at most {MOST:,}", facts={"found": number})
        if self.lengths[0] > self.lengths[1]:
            raise ConfigError(
                "--lengths begin with the shortest",
                facts={"found": "-".join(map(str, self.lengths))},
                hint="write them as --lengths 100-1024",
            )
        if self.step_ms is not None and not 0 < self.step_ms < MOST:
            raise ConfigError("--step-ms must be above 0", facts={"found": self.step_ms})
        if not 0 <= self.seed < 1 << 63:
            raise ConfigError("--seed must be from 0 to 2^63 - 1", facts={"found": self.seed})
        refuse_memory(self.tiers, self.budget_bytes, self.row_cache_bytes)
        self._refuse_states()
        refuse_fill(
            self.fill,
            {"--fill-size": self.fill_size_bytes, "--write-budget": self.write_budget_bytes},
            self.tiers if self.named else ("ssd",),
            self.cache,
        )
        if self.ranks is not None:
            refuse_ranks(self.ranks, self.batch, self.issues, self.step_ms, self.cache == TRAFFIC)
        elif self.deal is not None:
            raise ConfigError("--deal deals a table to ranks", hint="name how many: --ranks")
        self.shape()
        for name, swept in self.sweep.items():
            for value in swept:
                self.at({name: value})

    def at(self, values: Mapping[str, Any]) -> "BenchOptions":
        """Return the options of one point: no axis has several values.

        Raises:
            ConfigError: as when made.
        """
        return replace(self, **{**values, "sweep": {}})

    def values(self, name: str) -> Sequence[Any]:
        """Return all values of an axis."""
        return self.sweep.get(name) or (getattr(self, name),)

    def shape(self, layers: int | None = None) -> DecoderConfig:
        """Return the model's shape, without a memory.

        Args:
            layers: cut to so many in place of the run's own `layers`.
        """
        settings = read_settings(self.settings)
        shape = shape_of(self.preset, settings, layers or self.layers, self.residual)
        residual = replace(shape.residual, kernels=self.mhc)  # type: ignore[arg-type]
        return replace(shape, residual=residual)

    def dtype_on(self, device: str) -> str:
        """Return the dtype of a model on a type of device (cpu, cuda), of MODEL_DTYPES."""
        return self.model_dtype or ("f32" if device == "cpu" else "bf16")

    def reading(self, tier: str) -> dict[str, Any]:
        """Return what `open_store` is told of how a tier reads: of ssd alone there is a choice."""
        if not on_disk(tier):
            return {}
        return {
            "budget_bytes": self.budget_bytes,
            "engine": self.engine,
            "cache_bytes": self.row_cache_bytes,
        }

    def _refuse_states(self) -> None:
        """Refuse a state that the memory of the ssd tier cannot be in."""
        if self.cache != TRAFFIC:
            for option, value in (("--warm", self.warm), ("--after", self.after or None)):
                if value is not None:
                    raise ConfigError(
                        f"{option} says what was read before, and --cache {self.cache} forgets it",
                        hint=f"add --cache {TRAFFIC}: nothing is dropped or brought for a sample",
                    )
        elif not all(self._keeps_rows(tier) for tier in self.tiers if on_disk(tier)):
            raise ConfigError(
                f"--cache {TRAFFIC} is of rows that the ssd tier keeps in memory of its own",
                hint="say how much: --row-cache 1GiB, or --tier host:1GiB,ssd",
            )
        if not 0 <= self.after <= MOST:
            raise ConfigError(f"--after must be from 0 to {MOST:,}", facts={"found": self.after})

    def _keeps_rows(self, tier: str) -> bool:
        """Tell whether an ssd tier has memory of its own for rows that were read."""
        own = self.budget_bytes is not None or bool(self.row_cache_bytes)
        return own or is_mixture(tier)

    def caches(self, tier: str) -> tuple[str, ...]:
        """Return the cache states a tier is measured in."""
        if not on_disk(tier):
            return ("warm",) if self.cache in ("warm", "both") else ()
        return ("warm", "cold") if self.cache == "both" else (self.cache,)

    def phases(self, case: str) -> tuple[str, ...]:
        """Return the phases of a case, of CASES: whole sequences are read only when named."""
        named = any(one.split(".")[:2] == ["step", SEQUENCES] for one in self.cases)
        return (*PHASES, SEQUENCES) if named and case == "step" else PHASES

    @property
    def longest(self) -> int:
        """The most tokens of a sequence that a state holds."""
        read = self.lengths[1] if SEQUENCES in self.phases("step") else 0
        return max(self.context + 1, self.tokens, read)

    def num_samples(self, case: str, phase: str) -> int:
        """Return how many samples a case takes: fewer where one costs more, at least five.

        Of whole sequences, as many as it takes to read them all.
        """
        if phase == SEQUENCES:
            return max(LEAST_SAMPLES, -(-self.sequences // self.batch))
        costs = {"gather": 1, "lookup": 1, "step": 4, RANKS: 4}
        share = costs[case] * {"decode": 1, "prefill": 10}[phase]
        return max(LEAST_SAMPLES, self.samples // share)


# What says which cases there are, and what is said of them: a run that goes on may have others.
WIDENING = ("named", "tiers", "cases", "cache", "sweep", "step_ms", "step_layers", *NAMES)
# Keys of a result's `config` that must be equal for a run to go on from it.
DECIDING = (
    *(one.name for one in fields(BenchOptions) if one.name not in WIDENING),
    "path", "scheme", "layout", "num_rows", "table_xxh3_128", "warm_xxh3_128",
)  # fmt: skip
