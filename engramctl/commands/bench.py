"""`engramctl bench`: what a lookup costs, tier by tier."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engramctl.commands.options import Config, Json, Quiet
from engramctl.errors import ConfigError, EngramError
from engramctl.output import FORMATS, Output, Table

if TYPE_CHECKING:
    from engramctl.bench.options import BenchOptions

TEMPORARY_SLOTS = 85_000  # about 1 GiB of V4.1-shaped rows
_SCALES = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"))


def bench(
    shards: Annotated[
        Path | None,
        typer.Argument(
            metavar="[SHARDS]",
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
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Measure gated-lookup latency, tier by tier.

    Each case is timed after the same warm-up, interleaved with its baselines:
    the same model without memory, and with the table in memory. A tier this
    machine lacks is reported as skipped, never left out.

      Example:  engramctl bench shards/ --tier ssd --cache cold --json | jq .cases
    """  # fmt: skip
    from engramctl.bench.options import BenchOptions

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
    with _table(shards, sink) as (path, assumed):
        if dry_run:
            show_plan(path, options, sink)
            return
        document = measure(path, options, sink, assumed)
    if out is not None:
        write_result(document, out)
    sink.result(document, raw_tables(document) if chosen == "csv" else result_tables(document))
    refuse_mismatches(document)


def measure(
    path: Path, options: "BenchOptions", sink: Output, assumed: str | None
) -> dict[str, Any]:
    """Run the benchmark with progress; warnings become notes."""
    from engramctl.bench.run import run_bench, total_samples

    sink.announce_compilation()
    with sink.progress("bench", total_samples(options), "windows") as advance:
        document = run_bench(path, options, advance, assumed)
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


def write_result(document: dict[str, Any], out: Path) -> None:
    """Write the document whole, or leave what was there."""
    from engramctl.storage.atomic import os_errors, write_json

    with os_errors("write", out):
        write_json(out, document)


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

    from engramctl.building import plan_build, run_build
    from engramctl.schemes import SchemeOptions

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
    from engramctl.bench.run import plan_loops
    from engramctl.storage.reader import open_table
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


def result_tables(document: dict[str, Any]) -> list[Table]:
    """Return the table people read: one row a case, and why cases were skipped."""
    measured = [_row(case, document) for case in document["cases"] if case["samples_ns"]]
    skipped = {
        f"{case['tier']}: {case['reason']}": None
        for case in document["cases"]
        if case["status"] == "skipped"
    }
    tables = [Table(f"lookups in {document['config']['path']}", measured)]
    if skipped:
        tables.append(Table("skipped", [{"tier": text} for text in skipped]))
    return tables


def raw_tables(document: dict[str, Any]) -> list[Table]:
    """Return the cases as numbers, for programs: units in the column names, samples left out."""
    rows = [
        {
            **{name: value for name, value in case.items() if not isinstance(value, dict | list)},
            **{
                f"{group}_{name}": value
                for group in ("resident_percent", "against", "check")
                for name, value in case[group].items()
            },
        }
        for case in document["cases"]
    ]
    return [Table("cases", rows)]


def _row(case: dict[str, Any], document: dict[str, Any]) -> dict[str, object]:
    before = case["resident_percent"]["before"]
    resolution = document["resolution_percent"] or 0.0
    return {
        "case": case["name"],
        "phase": case["phase"],
        "tier": case["tier"],
        "cache": case["cache"],
        "p50": duration(case["p50_ns"]),
        "p99": duration(case["p99_ns"]),
        "rows/s": case["rows_per_s"],
        "bytes/lookup": case["useful_bytes"] or None,
        "disk bytes": None if case["device_bytes"] is None else round(case["device_bytes"]),
        "resident": None if before is None else f"{before:.0f} %",
        "waits": duration(case["stall_ns"]),
        "over none": overhead(case["against"]["none_percent"], resolution),
        "over memory": overhead(case["against"]["resident_percent"], resolution),
    }


def duration(time_ns: float | None) -> str | None:
    """Show a time at three digits.

    Example:
        >>> duration(4_210), duration(1_234_000_000), duration(730)
        ('4.21 µs', '1.23 s', '730 ns')
    """
    if time_ns is None:
        return None
    for size, unit in _SCALES:
        if time_ns >= size:
            return f"{time_ns / size:.3g} {unit}"
    return f"{time_ns:.0f} ns"


def overhead(percent: float | None, resolution: float) -> str | None:
    """Show an overhead, unless two copies of one arm differ by as much."""
    if percent is None:
        return None
    return "below resolution" if abs(percent) < resolution else f"{percent:+.1f} %"
