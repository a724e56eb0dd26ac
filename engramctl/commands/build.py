"""`engramctl build`: tables for a scheme."""

from pathlib import Path
from typing import Annotated, Any

import typer

from engramctl.arguments.inputs import IfNeeded, begin_making, keep_inputs
from engramctl.arguments.options import (
    Config,
    DryRun,
    EachHead,
    Force,
    Heads,
    Json,
    Orders,
    Quiet,
    Resume,
    ShardBytes,
    Slots,
    Tokenizer,
    folder_to_make,
    number,
    output_for,
)
from engramctl.numbers import parse_bytes, parse_numbers


def build(
    ctx: typer.Context,
    out: Annotated[Path, folder_to_make("TABLES")] = Path("tables"),
    scheme: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="A name, as engramctl inspect --schemes lists them, a scheme.json or a folder of "
            "tables.  "
            "[default: deepseek-v41 with 20,000 slots a head, about 256 MB]",
        ),
    ] = None,
    tokenizer: Tokenizer = None,
    slots: Slots = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="SIZE",
            help="Instead of --slots: as many as fit, all files of all layers together.",
        ),
    ] = None,
    orders: Orders = None,
    heads: Heads = None,
    layers: Annotated[
        str | None, typer.Option(metavar="N,N", help="Decoder layers.  [default: scheme's]")
    ] = None,
    row_dim: Annotated[
        int | None, number("--row-dim", "Values a row.  [default: scheme's]")
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(metavar="DTYPE", help="As layout --dtype knows them.  [default: scheme's]"),
    ] = None,
    init: Annotated[
        str, typer.Option(metavar="INIT", help="normal, zeros, token-mean or import.")
    ] = "normal",
    std: Annotated[
        float, typer.Option(metavar="X", help="Standard deviation of normal rows.")
    ] = 0.02,
    seed: Annotated[int, number("--seed", "Seed of normal rows.", least=0)] = 0,
    counts: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Mined counts the table is for: recorded with it, and what token-mean is made of.",
        ),
    ] = None,
    source: Annotated[
        Path | None,
        typer.Option(
            metavar="PATH",
            help="import: tables, shards, a checkpoint, or safetensors with one float tensor a "
            "layer. token-mean: safetensors with the token embeddings.",
        ),
    ] = None,
    tensor: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The tensor in --source, {layer} where a layer's number stands.  "
            "[default: by its shape or name]",
        ),
    ] = None,
    tier: Annotated[
        str | None,
        typer.Option(
            metavar="TIER",
            help="Lay the rows out for gpu, host or ssd in the same pass.  [default: planar]",
        ),
    ] = None,
    shard_bytes: ShardBytes = "128GiB",
    each_head: EachHead = False,
    dry_run: DryRun = False,
    resume: Resume = False,
    force: Force = False,
    if_needed: IfNeeded = None,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Make tables for a scheme: seeded, composed or imported rows.

    Rows are seeded normal values, zeros, the rows of --source (import), or each
    the mean of the token embeddings of the n-grams that land in it, weighted by
    their counts (token-mean; normal where none lands). Nothing is trained. The
    same options give the same bytes on any machine. An interrupted build is
    called TABLES.partial and goes on with --resume.

      Example:  engramctl build --slots 100000 --dtype bf16 -o tables --dry-run
    """
    from engramctl.storage.writing.ownership import check_target
    from engramctl.storage.writing.table_folder import table_maker

    sink = output_for(json=json, quiet=quiet)
    keep_inputs(out, scheme, tokenizer, source, counts, config)
    making = begin_making(ctx, sink, table_maker("build"))
    if making.up_to_date:
        return

    from engramctl.schemes.options import SchemeOptions
    from engramctl.tables.build import Built, plan_build, plan_of_size, run_build
    from engramctl.tables.initial_rows import InitOptions
    from engramctl.tables.view import (
        resumable,
        size_note,
        written_document,
        written_note,
        written_tables,
    )

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
    rows = InitOptions(init, seed, std, source, tensor, counts)
    if not dry_run:
        check_target(out, making.maker, force=making.force, resume=resume)
    cut = parse_bytes(shard_bytes, "--shard-bytes")
    most = None if size is None else parse_bytes(size, "--size")
    with sink.progress("scale", None, "rows") as scanned:
        how: Any = {"init": rows, "tier": tier, "shard_bytes": cut, "progress": scanned}
        plan = plan_build(options, **how) if most is None else plan_of_size(options, most, **how)
    if plan.assumed:
        sink.note(f"assumed: {', '.join(plan.assumed)}")
    if plan.remark:
        sink.note(plan.remark)
    built = Built(plan.initial.losses, plan.initial.made)
    if not dry_run:
        sink.announce_compilation()
        bar = sink.progress("build", plan.table.row_file_bytes, "B")
        with resumable(out, sink.note), bar as advance:
            built = run_build(plan, out, force=making.force, resume=resume, progress=advance)
        making.record()
    document = written_document(
        plan.table, out, dry_run=dry_run, losses=built.losses, made=built.made
    )
    if most is not None:
        document |= {"slots": plan.slots, "size_bytes": most}
        sink.note(size_note(document))
    sink.result(document, written_tables(plan.table, document, each_head=each_head))
    sink.note(written_note(document))
