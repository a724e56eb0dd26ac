"""`engramctl bench`: what a lookup costs, tier by tier."""

from pathlib import Path
from typing import Annotated

import typer

from engramctl.commands.options import (
    Config,
    Force,
    Format,
    Issue,
    Json,
    ModelThreads,
    Quiet,
    Resume,
    SchemeFile,
    StepLayers,
    StepMs,
    StoreThreads,
    number,
)
from engramctl.errors import ConfigError
from engramctl.output import Output
from engramctl.terminal.numbers import parse_bytes


def bench(
    shards: Annotated[
        Path | None,
        typer.Argument(
            metavar="SHARDS",
            help="Folder made by layout or build, or a checkpoint, read in place.  [default: "
            "./shards, else ./tables, else a temporary table of about 1 GiB]",
        ),
    ] = None,
    tier: Annotated[
        list[str] | None,
        typer.Option(
            "-t",
            "--tier",
            metavar="TIER",
            help="gpu, host or ssd; repeat to measure several.  [default: gpu, host and ssd]",
        ),
    ] = None,
    case: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME", help="gather, lookup or step; repeat for more.  [default: all]"
        ),
    ] = None,
    cache: Annotated[
        str,
        typer.Option(
            metavar="cold|warm|both", help="State of the page cache for the ssd tier, proved."
        ),
    ] = "both",
    budget: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Memory of the ssd tier, which then reads past the page cache.  [default: the "
            "page cache]",
        ),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(metavar="NAME", help="What reads on ssd: auto, io_uring, pread or willneed."),
    ] = "auto",
    samples: Annotated[
        int,
        number(
            "--samples",
            "Timed decode gathers; prefill takes a tenth, model steps a quarter of it.",
        ),
    ] = 200,
    batch: Annotated[int, number("--batch", "Sequences a sample.", metavar="B")] = 1,
    tokens: Annotated[
        int, number("--tokens", "Tokens a sequence in a prefill sample.", metavar="T")
    ] = 512,
    context: Annotated[
        int, number("--context", "Tokens in the KV cache at a decode step.", metavar="T")
    ] = 64,
    preset: Annotated[
        str,
        typer.Option(metavar="NAME", help="The model that steps are timed with: tiny or small."),
    ] = "small",
    residual: Annotated[
        str, typer.Option(metavar="MODE", help="Residual form: none, hc, mhc or single_pass.")
    ] = "mhc",
    issue: Issue = None,
    threads: ModelThreads = None,
    store_threads: StoreThreads = None,
    step_ms: StepMs = None,
    step_layers: StepLayers = None,
    trace: Annotated[
        str,
        typer.Option(
            metavar="TRACE",
            help="Token ids to look up: uniform, zipf, or Parquet files of token ids.",
        ),
    ] = "uniform",
    scheme: SchemeFile = None,
    seed: Annotated[int, number("--seed", "Seed of token ids and model weights.", least=0)] = 0,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FILE", help="Also write the full result as JSON."),
    ] = None,
    format: Format = "table",
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the cases and their memory need, measure nothing."),
    ] = False,
    resume: Resume = False,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Measure gated-lookup latency, tier by tier.

    Each case is timed after the same warm-up, interleaved with its baselines:
    the same model without memory, and with the table in memory. One arm is
    measured twice: a difference its two copies may show is printed as below
    resolution. A tier this machine lacks is reported as skipped, never left
    out. FILE has the cases that are finished, also while the run goes on and
    when it is interrupted; with --resume and the same options it goes on.

      Example:  engramctl bench shards --tier ssd --json | jq .cases
    """  # fmt: skip
    from engramctl.bench.dry_run import planned_cases, planned_tables
    from engramctl.bench.measured_folder import measured_folder
    from engramctl.bench.options import CASES, TIERS, BenchOptions
    from engramctl.results.document import refuse_mismatches
    from engramctl.results.file import earlier_result, result_file
    from engramctl.results.tables import raw_tables, result_tables

    sink = Output(format="json" if json else format, quiet=quiet)
    options = BenchOptions(
        tiers=tuple(dict.fromkeys(tier or TIERS)), named=bool(tier),
        cases=tuple(dict.fromkeys(case or CASES)), cache=cache, samples=samples, batch=batch,
        tokens=tokens, context=context, preset=preset, residual=residual, seed=seed, trace=trace,
        budget_bytes=None if budget is None else parse_bytes(budget, "--budget"), engine=engine,
        issues=tuple(dict.fromkeys(issue or ("start",))), threads=threads,
        store_threads=store_threads, step_ms=step_ms, step_layers=step_layers,
    )  # fmt: skip
    if resume and out is None:
        raise ConfigError("--resume goes on from a result file", hint="name it with -o FILE")
    target = None if out is None else result_file(out, force=force, resume=resume)
    show = raw_tables if sink.format == "csv" else result_tables
    if dry_run:
        with measured_folder(shards, sink) as (path, _):
            document = planned_cases(path, options, scheme)
            sink.result(document, planned_tables(document))
        return
    from engramctl.bench.watched_run import kept_when_stopped, measure

    with (
        kept_when_stopped(sink, target, show) as kept,
        measured_folder(shards, sink) as (path, assumed),
    ):
        earlier = earlier_result(target) if resume and target is not None else None
        document = measure(path, options, sink, assumed, target, kept, earlier, scheme)
    sink.result(document, show(document))
    refuse_mismatches(document)
