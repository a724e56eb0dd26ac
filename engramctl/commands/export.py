"""`engramctl export`: back to what engines load."""

from pathlib import Path
from typing import Annotated

import typer

from engramctl.commands.inputs import keep_inputs
from engramctl.commands.options import (
    Config,
    DryRun,
    Force,
    Json,
    Quiet,
    SchemeFile,
    output_format,
)
from engramctl.output import Output, Table


def export(
    source: Annotated[
        Path,
        typer.Argument(metavar="SRC", help="Tables, shards, or a model's checkpoint."),
    ] = Path("tables"),
    out: Annotated[Path, typer.Option("-o", "--out", metavar="DIR", help="Folder to make.")] = Path(
        "exported"
    ),
    family: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Whose tensor names: deepseek-v41, qwen-ple, longcat, longcat-causal, "
            "over-encoding; or raw-shards.  [default: the scheme's]",
        ),
    ] = None,
    parts: Annotated[
        int,
        typer.Option(metavar="N", help="Row shards of a table, for qwen-ple and raw-shards."),
    ] = 128,
    scheme: SchemeFile = None,
    dry_run: DryRun = False,
    force: Force = False,
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
    from engramctl.tables.export import plan_export, run_export
    from engramctl.tables.opened_rows import open_rows

    sink = Output(format=output_format(json), quiet=quiet)
    keep_inputs(out, source, scheme, config)
    opened = open_rows(source, scheme)
    plan = plan_export(opened, family, parts=parts)
    if not dry_run:
        with sink.progress("export", plan.total_bytes, "B") as advance:
            run_export(opened, plan, out, force=force, progress=advance)
    files = [
        {"file": file.name, "tensors": len(file.pieces), "bytes": file.num_bytes}
        for file in plan.files
    ]
    document = {
        "path": str(out),
        "dry_run": dry_run,
        "family": plan.family,
        "files": files,
        "total_bytes": plan.total_bytes,
    }
    sink.result(document, [Table("would be written" if dry_run else "written", files)])
    if not dry_run:
        sink.note(f"wrote {plan.total_bytes:,} bytes to {out}; next: engramctl inspect {out}")
