"""`engramctl export`: back to what engines load."""

from pathlib import Path
from typing import Annotated

import typer

from engramctl.arguments.inputs import IfNeeded, begin_making, keep_inputs
from engramctl.arguments.options import (
    Config,
    DryRun,
    Force,
    Json,
    Quiet,
    SchemeFile,
    Source,
    folder_to_make,
    number,
    output_for,
)


def export(
    ctx: typer.Context,
    source: Source = Path("tables"),
    out: Annotated[Path, folder_to_make("DIR")] = Path("exported"),
    family: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Whose tensor names: deepseek-v41, qwen-ple, longcat, longcat-causal, "
            "over-encoding; or raw-shards.  [default: the scheme's]",
        ),
    ] = None,
    parts: Annotated[
        int | None,
        number(
            "--parts",
            "Row shards of a table, for qwen-ple and raw-shards.  [default: those of a checkpoint "
            "of qwen-ple, else 128]",
        ),
    ] = None,
    scheme: SchemeFile = None,
    dry_run: DryRun = False,
    force: Force = False,
    if_needed: IfNeeded = None,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Write tables back as engines load them.

    Safetensors files with the family's own tensor names and an index, bit for
    bit the same rows; or per-shard raw files, each with a sidecar. No row is
    converted: engramctl layout --dtype does that.

      Example:  engramctl export shards -o exported --family deepseek-v41
    """
    from engramctl.storage.writing.exported_folder import MAKER

    sink = output_for(json=json, quiet=quiet)
    keep_inputs(out, source, scheme, config)
    making = begin_making(ctx, sink, MAKER)
    if making.up_to_date:
        return

    from engramctl.tables.export import plan_export, run_export
    from engramctl.tables.opened_rows import open_rows
    from engramctl.tables.view import exported_document, exported_note, exported_tables

    opened = open_rows(source, scheme)
    sink.notes(opened.notes)
    plan = plan_export(opened, family, parts=parts)
    if not dry_run:
        with sink.progress("export", plan.total_bytes, "B") as advance:
            run_export(opened, plan, out, force=making.force, progress=advance)
        making.record()
    document = exported_document(plan, out, dry_run=dry_run)
    sink.result(document, exported_tables(document))
    if not dry_run:
        sink.note(exported_note(document))
