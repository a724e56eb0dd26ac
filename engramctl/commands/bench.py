"""`engramctl bench`: what a lookup costs, tier by tier."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engramctl.commands.options import Config, Force, Json, Quiet
from engramctl.errors import ConfigError, EngramError
from engramctl.output import FORMATS, Output, Table
from engramctl.results.tables import raw_tables, result_tables

if TYPE_CHECKING:
    from engramctl.bench.options import BenchOptions

TEMPORARY_SLOTS = 85_000  # about 1 GiB of V4.1-shaped rows


def bench(
    shards: Annotated[
        Path | None,
        typer.Argument(
            metavar="SHARDS",
            help="Folder made by layout or build.  [default: ./shards, else ./tables, else a "
            "temporary table of about 1 GiB]",
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
    samples: Annotated[
        int,
        typer.Option(
            metavar="N",
            help="Timed decode gathers; prefill takes a tenth, model steps a quarter of it.",
        ),
    ] = 200,
    batch: Annotated[int, typer.Option(metavar="B", help="Sequences a sample.")] = 1,
    tokens: Annotated[
        int, typer.Option(metavar="T", help="Tokens a sequence in a prefill sample.")
    ] = 512,
    context: Annotated[
        int, typer.Option(metavar="T", help="Tokens in the KV cache at a decode step.")
    ] = 64,
    preset: Annotated[str, typer.Option(metavar="NAME", help="Model: tiny or small.")] = "small",
    residual: Annotated[
        str, typer.Option(metavar="MODE", help="Residual form: none, hc, mhc or single_pass.")
    ] = "mhc",
    trace: Annotated[
        str,
        typer.Option(
            metavar="TRACE",
            help="Token ids to look up: uniform, zipf, or Parquet files of token ids.",
        ),
    ] = "uniform",
    seed: Annotated[
        int, typer.Option(metavar="N", help="Seed of token ids and model weights.")
    ] = 0,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FILE", help="Also write the full result as JSON."),
    ] = None,
    format: Annotated[
        str,
        typer.Option(
            "-f",
            "--format",
            metavar="FORMAT",
            help="table, json, csv or md, on stdout; --json is short for --format json.",
        ),
    ] = "table",
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Print the cases and their memory need, measure nothing."),
    ] = False,
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
    out. When the run is interrupted, FILE has the cases that were finished.

      Example:  engramctl bench shards --tier ssd --json | jq .cases
    """  # fmt: skip
    from engramctl.bench.options import BenchOptions
    from engramctl.results.file import result_file

    chosen = "json" if json else format
    if chosen not in FORMATS:
        raise ConfigError(f"unknown format '{format}'", facts={"known": ", ".join(FORMATS)})
    sink = Output(format=chosen, quiet=quiet)
    given: dict[str, Any] = {}
    if tier:
        given |= {"tiers": tuple(dict.fromkeys(tier)), "named": True}
    if case:
        given["cases"] = tuple(dict.fromkeys(case))
    options = BenchOptions(
        cache=cache, samples=samples, batch=batch, tokens=tokens, context=context, preset=preset,
        residual=residual, seed=seed, trace=trace, **given,
    )  # fmt: skip
    target = None if out is None else result_file(out, force=force)
    with _table(shards, sink) as (path, assumed):
        if dry_run:
            show_plan(path, options, sink)
            return
        document = measure(path, options, sink, assumed, target)
    sink.result(document, raw_tables(document) if chosen == "csv" else result_tables(document))
    refuse_mismatches(document)


def measure(
    path: Path, options: "BenchOptions", sink: Output, assumed: str | None, target: Path | None
) -> dict[str, Any]:
    """Run the benchmark with progress and write its result; warnings become notes."""
    from engramctl.bench.loops import total_rounds
    from engramctl.bench.run import run_bench
    from engramctl.results.file import write_result

    def keep(document: dict[str, Any]) -> None:
        if target is not None:
            write_result(document, target)
            measured = sum(bool(case["samples_ns"]) for case in document["cases"])
            sink.note(f"kept in {target}: {measured} of {len(document['cases'])} cases")

    sink.announce_compilation()
    with sink.progress("bench", total_rounds(options), "rounds") as advance:
        document = run_bench(path, options, advance, assumed, keep)
    if target is not None:
        write_result(document, target)
    for warning in document["warnings"]:
        sink.note(f"warning: {warning}")
    return document


def refuse_mismatches(document: dict[str, Any]) -> None:
    """Raise when a case returned wrong rows: its times mean nothing."""
    for case in document["cases"]:
        if case["status"] == "failed":
            raise EngramError(
                f"{case['name']} {case['phase']} on {case['tier']}: {case['reason']}",
                facts=case["check"],
                hint="run: engramctl verify on the folder",
            )


@contextmanager
def _table(shards: Path | None, sink: Output) -> Iterator[tuple[Path, str | None]]:
    """Yield the folder to measure and what was assumed, told on stderr in one line."""
    if shards is not None:
        yield shards, None
        return
    for name in ("shards", "tables"):
        if Path(name).is_dir():
            assumed = f"measuring ./{name}"
            sink.note(f"assumed: {assumed}")
            yield Path(name), assumed
            return
    import tempfile

    from engramctl.schemes.options import SchemeOptions
    from engramctl.tables.build import plan_build, run_build

    with tempfile.TemporaryDirectory(prefix="engramctl-bench-") as folder:
        plan = plan_build(SchemeOptions(slots=TEMPORARY_SLOTS), tier="ssd")
        assumed = (
            f"no ./shards or ./tables: a temporary {plan.scheme.name} table of "
            f"{plan.table.row_file_bytes:,} bytes, removed afterwards"
        )
        sink.note(f"assumed: {assumed}")
        sink.announce_compilation()
        path = Path(folder) / "shards"
        with sink.progress("build", plan.table.row_file_bytes, "B") as advance:
            run_build(plan, path, progress=advance)
        yield path, assumed


def show_plan(path: Path, options: "BenchOptions", sink: Output) -> None:
    """Print what would be measured."""
    from engramctl.bench.loops import plan_loops
    from engramctl.storage.reading.table import open_table
    from engramctl.storage.tiers.door import tier_missing

    table = open_table(path)
    rows = sum(table.num_rows(layer) for layer in table.layers)
    in_memory = rows * table.record.record_bytes
    cases = [
        {
            "case": loop.case, "phase": loop.phase, "tier": tier,
            "cache": loop.cache if tier == "ssd" else "warm",
            "samples": options.num_samples(loop.case, loop.phase),
            "memory_bytes": 0 if tier == "ssd" and loop.cache == "cold" else in_memory,
            "missing": tier_missing(tier),
        }
        for loop in plan_loops(options)
        for tier in loop.tiers
    ]  # fmt: skip
    sink.result({"path": str(path), "cases": cases}, [Table(f"would measure {path}", cases)])
