"""`engramctl build`: tables for a scheme."""

from pathlib import Path
from typing import Annotated

import typer

from engramctl.commands.options import (
    Config,
    DryRun,
    Force,
    Heads,
    Json,
    Orders,
    Quiet,
    Resume,
    Slots,
    Tokenizer,
    output_format,
    parse_numbers,
)
from engramctl.commands.written import resumable, show_written
from engramctl.output import Output

DEFAULT_OUT = Path("tables")


def build(
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="TABLES", help="Folder to make.")
    ] = DEFAULT_OUT,
    scheme: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="engram, deepseek-v41, or a scheme.json.  "
            "[default: deepseek-v41 with 20,000 slots a head, about 256 MB]",
        ),
    ] = None,
    tokenizer: Tokenizer = None,
    slots: Slots = None,
    orders: Orders = None,
    heads: Heads = None,
    layers: Annotated[
        str | None, typer.Option(metavar="N,N", help="Decoder layers.  [default: scheme's]")
    ] = None,
    row_dim: Annotated[
        int | None, typer.Option(metavar="N", help="Values a row.  [default: scheme's]")
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(metavar="DTYPE", help="As layout --dtype knows them.  [default: scheme's]"),
    ] = None,
    init: Annotated[str, typer.Option(metavar="INIT", help="normal or zeros.")] = "normal",
    std: Annotated[
        float, typer.Option(metavar="X", help="Standard deviation of normal rows.")
    ] = 0.02,
    seed: Annotated[int, typer.Option(metavar="N", help="Seed of normal rows.")] = 0,
    counts: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Mined counts the table is for; recorded with it."),
    ] = None,
    tier: Annotated[
        str | None,
        typer.Option(
            metavar="TIER",
            help="Lay the rows out for gpu, host or ssd in the same pass.  [default: planar]",
        ),
    ] = None,
    dry_run: DryRun = False,
    resume: Resume = False,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Make tables for a scheme, with seeded normal rows or zeros.

    The same options give the same bytes on any machine. An interrupted build
    is called TABLES.partial and goes on with --resume.

      Example:  engramctl build --slots 100000 --dtype bf16 -o tables --dry-run
    """
    from engramctl.schemes import SchemeOptions
    from engramctl.storage.publish import check_target
    from engramctl.storage.rows import RowInit
    from engramctl.tables import plan_build, run_build

    sink = Output(format=output_format(json), quiet=quiet)
    options = SchemeOptions(
        scheme=scheme,
        tokenizer=tokenizer,
        slots=slots,
        orders=parse_numbers(orders, "--orders"),
        heads=heads,
        layers=parse_numbers(layers, "--layers"),
        row_dim=row_dim,
        dtype=dtype,
    )
    rows = RowInit(kind=init, seed=seed, std=std)
    if not dry_run:
        check_target(out, force=force, resume=resume)
    plan = plan_build(options, init=rows, counts=counts, tier=tier)
    if plan.assumed:
        sink.note(f"assumed: {', '.join(plan.assumed)}")
    if not dry_run:
        sink.announce_compilation()
        bar = sink.progress("build", plan.table.row_file_bytes, "B")
        with resumable(sink, out), bar as advance:
            run_build(plan, out, force=force, resume=resume, progress=advance)
    show_written(sink, plan.table, out, dry_run=dry_run)
