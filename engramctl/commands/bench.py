"""`engramctl bench`: what a lookup costs, tier by tier."""

from pathlib import Path
from typing import Annotated

import typer

from engramctl.arguments.hints import tell_result
from engramctl.arguments.options import (
    Config,
    Deal,
    Force,
    Format,
    Issue,
    Json,
    ModelDtype,
    ModelThreads,
    Quiet,
    Ranks,
    Resume,
    SchemeFile,
    Settings,
    StepLayers,
    StepMs,
    StoreThreads,
    Trace,
    number,
)
from engramctl.arguments.ssd_memory import (
    After,
    Budget,
    Cache,
    Engine,
    Fill,
    FillSize,
    RowCache,
    Warm,
    WriteBudget,
)
from engramctl.errors import ConfigError
from engramctl.output import Output
from engramctl.sweep.declared import (
    Batch,
    Context,
    FusionName,
    Layers,
    Lengths,
    MemoryLayers,
    Mhc,
    Preset,
    Recipe,
    Residual,
    Sequences,
    Tiers,
    Tokens,
)  # fmt: skip


def bench(
    shards: Annotated[
        Path | None,
        typer.Argument(
            metavar="SHARDS",
            help="Folder made by layout or build, or a checkpoint, read in place.  [default: "
            "./shards, else ./tables, else a temporary table of about 1 GiB]",
        ),
    ] = None,
    recipe: Recipe = None,
    tier: Tiers = None,
    case: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help="gather, lookup, step, or an ID that --list prints, or the beginning of one, up "
            "to a dot; repeat for more.  [default: all]",
        ),
    ] = None,
    cache: Cache = "both",
    budget: Budget = None,
    row_cache: RowCache = None,
    warm: Warm = None,
    after: After = 0,
    fill: Fill = None,
    fill_size: FillSize = None,
    write_budget: WriteBudget = None,
    engine: Engine = "auto",
    samples: Annotated[
        int,
        number(
            "--samples",
            "Timed decode gathers; prefill takes a tenth, model steps a quarter of it.",
        ),
    ] = 200,
    batch: Batch = None,
    tokens: Tokens = None,
    context: Context = None,
    sequences: Sequences = None,
    lengths: Lengths = None,
    preset: Preset = None,
    settings: Settings = None,
    layers: Layers = None,
    model_dtype: ModelDtype = None,
    residual: Residual = None,
    mhc: Mhc = None,
    fusion: FusionName = None,
    memory_layers: MemoryLayers = None,
    issue: Issue = None,
    threads: ModelThreads = None,
    store_threads: StoreThreads = None,
    step_ms: StepMs = None,
    step_layers: StepLayers = None,
    ranks: Ranks = None,
    deal: Deal = None,
    trace: Trace = "auto",
    scheme: SchemeFile = None,
    seed: Annotated[int, number("--seed", "Seed of token ids and model weights.", least=0)] = 0,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FILE", help="Also write the full result as JSON."),
    ] = None,
    format: Format = "table",
    list_: Annotated[
        bool,
        typer.Option("--list", help="Print the ID of every case of these options, then end."),
    ] = False,
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
    out, and so is a case whose model does not fit.

    An option with a * is swept when it is repeated: --batch 1 --batch 8. FILE
    has the cases that are finished, also while the run goes on and when it is
    interrupted; with --resume a run measures those that FILE does not have.

      Example:  engramctl bench shards --tier ssd --json | jq .cases
    """  # fmt: skip
    from engramctl.measured.folder import measured_folder
    from engramctl.ranks.place import asked_ranks
    from engramctl.results.document import refuse_mismatches
    from engramctl.results.file import earlier_result, result_file
    from engramctl.shown.tables import raw_tables, result_tables
    from engramctl.sweep.axes import RANKS
    from engramctl.sweep.chosen import chosen_options
    from engramctl.sweep.listing import listed_cases, listed_tables, planned_cases, planned_tables
    from engramctl.sweep.ranked import smallest_batch

    ranks, follows = asked_ranks(ranks)
    sink = Output(format="json" if json else format, quiet=quiet or follows, silent=follows)
    if ranks is not None:
        batch, case = batch or [smallest_batch(ranks)], case or [RANKS]
    options = chosen_options(
        recipe, tier=tier, case=case, cache=cache, samples=samples, seed=seed, trace=trace,
        budget=budget, row_cache=row_cache, warm=None if warm is None else str(warm),
        after=after, fill=None if fill is None else str(fill), fill_size=fill_size,
        write_budget=write_budget, engine=engine, settings=settings, model_dtype=model_dtype,
        issue=issue, threads=threads, store_threads=store_threads, step_ms=step_ms,
        step_layers=step_layers, sequences=sequences, lengths=lengths, batch=batch, tokens=tokens,
        context=context, preset=preset, layers=layers, residual=residual, mhc=mhc, fusion=fusion,
        memory_layers=memory_layers, ranks=ranks, deal=deal,
    )  # fmt: skip
    if list_:
        listed = listed_cases(options)
        sink.result(listed, listed_tables(listed))
        return
    if resume and out is None:
        raise ConfigError("--resume goes on from a result file", hint="name it with -o FILE")
    target = None if out is None or follows else result_file(out, force=force, resume=resume)
    show = raw_tables if sink.format == "csv" else result_tables
    if dry_run:
        with measured_folder(shards, sink, recipe) as (path, _):
            document = planned_cases(path, options, scheme)
            sink.result(document, planned_tables(document))
        return
    from engramctl.bench.watched_run import kept_when_stopped, measure

    with (
        kept_when_stopped(sink, target, show) as kept,
        measured_folder(shards, sink, recipe) as (path, assumed),
    ):
        earlier = earlier_result(target) if resume and target is not None else None
        document = measure(path, options, sink, assumed, target, kept, earlier, scheme)
    sink.result(document, show(document))
    refuse_mismatches(document)
    tell_result(sink, None if target is None else out)
