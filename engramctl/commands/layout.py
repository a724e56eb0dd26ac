"""`engramctl layout`: the same rows, laid out for a tier."""

from pathlib import Path
from typing import Annotated

import typer

from engramctl.commands.options import Config, DryRun, Force, Json, Quiet, Resume, output_format
from engramctl.commands.written import resumable, show_written
from engramctl.output import Output


def layout(
    source: Annotated[
        Path, typer.Argument(metavar="SRC", help="Tables or shards to re-lay.")
    ] = Path("tables"),
    tier: Annotated[
        str,
        typer.Option(
            "-t",
            "--tier",
            metavar="TIER",
            help="gpu and host: records back to back; ssd: no record crosses a page.",
        ),
    ] = "ssd",
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="SHARDS", help="Folder to make.")
    ] = Path("shards"),
    dry_run: DryRun = False,
    resume: Resume = False,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Lay tables out for a tier, bit for bit the same rows.

    A record is a row's values and then its scales, so one read fetches both.
    Every byte of SRC is checked before the first one is written.

      Example:  engramctl layout tables --tier ssd -o shards
    """
    from engramctl.storage.publish import check_target
    from engramctl.storage.reader import open_table
    from engramctl.tables import plan_layout, run_layout

    sink = Output(format=output_format(json), quiet=quiet)
    if not dry_run:
        check_target(out, force=force, resume=resume)
    table = open_table(source)
    plan = plan_layout(table, tier)
    if not dry_run:
        total = table.data_bytes + plan.row_file_bytes
        bar = sink.progress("check and lay out", total, "B")
        with resumable(sink, out), bar as advance:
            run_layout(
                table,
                plan,
                out,
                verified=advance,
                force=force,
                resume=resume,
                progress=advance,
            )
    show_written(sink, plan, out, dry_run=dry_run)
