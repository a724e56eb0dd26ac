"""What a run of `engramctl bench` measures, checked when made; needs no torch."""

from dataclasses import dataclass, fields
from typing import Any

from engramctl.arms.issue import ISSUES
from engramctl.errors import ConfigError, unknown
from engramctl.model.presets import PRESETS
from engramctl.results.document import LEAST_SAMPLES

TIERS = ("gpu", "host", "ssd")
CASES = ("gather", "lookup", "step")
CACHES = ("cold", "warm", "both")
PHASES = ("decode", "prefill")
RESIDUALS = ("none", "hc", "mhc", "single_pass")
ENGINES = ("auto", "io_uring", "pread", "willneed")
MOST = 1 << 24  # samples, sequences, tokens: more is a slip of the hand


@dataclass(frozen=True)
class BenchOptions:
    """One run.

    Attributes:
        tiers: tiers to measure, of TIERS.
        named: whether the caller named them; then a run that can measure none of them fails.
        cases: of CASES.
        cache: state of the page cache on the ssd tier, of CACHES.
        samples: timed lookups of a decode gather; larger work takes fewer, see `num_samples`.
        batch: sequences a sample.
        tokens: tokens a sequence in a prefill sample.
        context: tokens in the KV cache before decode steps are timed.
        preset: of the model, of PRESETS.
        residual: residual mode of the model.
        seed: of token ids and model weights.
        trace: `uniform`, `zipf` or a Parquet file, folder or glob of token ids.
        budget_bytes: memory of the ssd tier, which then reads past the page cache; None: the page
            cache is its memory.
        engine: what reads on the ssd tier, of ENGINES.
        issues: when a step asks for its rows, of ISSUES; each is measured.
        threads: of the model, torch's; None: as many as torch takes.
        store_threads: that gather the rows of large requests; None: one a processor.
        step_ms: of somebody's engine, for the verdict of `step_fit`; None: no verdict.
        step_layers: of that engine; None: the preset's.

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
    seed: int = 0
    trace: str = "uniform"
    budget_bytes: int | None = None
    engine: str = "auto"
    issues: tuple[str, ...] = ("start",)
    threads: int | None = None
    store_threads: int | None = None
    step_ms: float | None = None
    step_layers: int | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be measured."""
        for option, values, known in (
            ("--tier", self.tiers, TIERS),
            ("--case", self.cases, CASES),
            ("--cache", (self.cache,), CACHES),
            ("--preset", (self.preset,), PRESETS),
            ("--residual", (self.residual,), RESIDUALS),
            ("--engine", (self.engine,), ENGINES),
            ("--issue", self.issues, ISSUES),
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
        ):
            if number is None:
                continue
            if number < 1:
                raise ConfigError(f"{option} must be at least 1", facts={"found": number})
            if number > MOST:
                raise ConfigError(f"{option} must be at most {MOST:,}", facts={"found": number})
        if self.step_ms is not None and not 0 < self.step_ms < MOST:
            raise ConfigError("--step-ms must be above 0", facts={"found": self.step_ms})
        if not 0 <= self.seed < 1 << 63:
            raise ConfigError("--seed must be from 0 to 2^63 - 1", facts={"found": self.seed})

    def reading(self, tier: str) -> dict[str, Any]:
        """Return what `open_store` is told of how a tier reads: of ssd alone there is a choice."""
        if tier != "ssd":
            return {}
        return {"budget_bytes": self.budget_bytes, "engine": self.engine}

    def caches(self, tier: str) -> tuple[str, ...]:
        """Return the cache states a tier is measured in."""
        if tier != "ssd":
            return ("warm",) if self.cache != "cold" else ()
        return ("warm", "cold") if self.cache == "both" else (self.cache,)

    def num_samples(self, case: str, phase: str) -> int:
        """Return how many samples a case takes: fewer where one costs more, at least five."""
        share = {"gather": 1, "lookup": 1, "step": 4}[case] * {"decode": 1, "prefill": 10}[phase]
        return max(LEAST_SAMPLES, self.samples // share)


# Keys of a result's `config` that must be equal for a run to go on from it.
_NOT_DECIDING = ("named", "step_ms", "step_layers")
DECIDING = (
    *(one.name for one in fields(BenchOptions) if one.name not in _NOT_DECIDING),
    "path", "scheme", "layout", "num_rows", "table_xxh3_128",
)  # fmt: skip
