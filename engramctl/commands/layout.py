"""`engramctl layout`: the same rows, laid out for a tier."""

from pathlib import Path
from typing import Annotated

import typer

from engramctl.arguments.inputs import IfNeeded, begin_making, keep_inputs
from engramctl.arguments.options import (
    Config,
    DryRun,
    EachHead,
    Force,
    Json,
    Quiet,
    Resume,
    SchemeFile,
    ShardBytes,
    Source,
    folder_to_make,
    number,
    output_for,
)
from engramctl.errors import ConfigError
from engramctl.numbers import parse_bytes


def layout(
    ctx: typer.Context,
    source: Source = Path("tables"),
    tier: Annotated[
        str,
        typer.Option(
            "-t",
            "--tier",
            metavar="TIER",
            help="gpu and host: records back to back; ssd: no record crosses a page.",
        ),
    ] = "ssd",
    out: Annotated[Path, folder_to_make("SHARDS")] = Path("shards"),
    form: Annotated[
        str | None,
        typer.Option(metavar="FORM", help="planar, packed or paged.  [default: the tier's]"),
    ] = None,
    page_bytes: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="Size of a page.  [default: 4096, or one record's]"),
    ] = None,
    align: Annotated[
        str, typer.Option(metavar="SIZE", help="Data begins at a multiple of this in every file.")
    ] = "4096",
    shard_bytes: ShardBytes = "128GiB",
    head_shards: Annotated[
        int | None,
        number(
            "--head-shards",
            "Deal whole heads to N files a layer, file k taking heads k, k+N, ...  "
            "[default: cut by rows]",
        ),
    ] = None,
    dtype: Annotated[
        str | None,
        typer.Option(
            metavar="DTYPE",
            help="Convert the rows, and say what that lost: f32, bf16, f16, f8_e4m3, "
            "f8_e4m3_scalar, int8, int4, int4_affine, nvfp4, q8_0, q4_0, iq4_nl; or as published "
            "tables are: int8_f16, int8_bf16, int4_row, int4_row_f16, int4_row_bf16, f8_e4m3_f32, "
            "f8_e4m3_row, f8_e4m3_row_bf16.  "
            "[default: as they are]",
        ),
    ] = None,
    dictionary: Annotated[
        Path | None,
        typer.Option(
            metavar="COUNTS",
            help="Add a dictionary: the counts' n-grams, each with its rows of all layers.",
        ),
    ] = None,
    dictionary_budget: Annotated[
        str | None,
        typer.Option(metavar="SIZE", help="What the dictionary's files may take.  [default: 4GiB]"),
    ] = None,
    scheme: SchemeFile = None,
    tokenizer: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="tokenizer.json of a DeepSeek checkpoint or of shards of one: its token map goes "
            "into the scheme.  [default: the one in SRC]",
        ),
    ] = None,
    each_head: EachHead = False,
    dry_run: DryRun = False,
    resume: Resume = False,
    force: Force = False,
    if_needed: IfNeeded = None,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Lay tables out for a tier, bit for bit the same rows.

    A record is a row's values and then its scales, so one read fetches both.
    Every byte of SRC is checked before the first one is written; a checkpoint
    has no checksums: its headers and sizes are, and each scale as it is read.
    Checkpoints are read in place: DeepSeek-V4.1, Qwen3.8-Flash-Next, LongCat,
    one tensor a table, GGUF, and per-shard raw files.

    With --dictionary, mined n-grams get a record each that holds their rows of
    all layers, so that a known n-gram costs one read; the n-grams expected most
    in further text come first. Those two files may be deleted at any time.

      Example:  engramctl layout tables --tier ssd -o shards
    """
    from engramctl.storage.writing.ownership import check_target
    from engramctl.storage.writing.table_folder import table_maker

    sink = output_for(json=json, quiet=quiet)
    keep_inputs(out, source, scheme, tokenizer, dictionary, config)
    making = begin_making(ctx, sink, table_maker("layout"))
    if making.up_to_date:
        return

    from engramctl.counts.manifest import check_counts_tokenizer
    from engramctl.counts.pruned import pruned_note
    from engramctl.tables.check import verified_bytes
    from engramctl.tables.layout import LayoutOptions, plan_layout, run_layout
    from engramctl.tables.ngram_dictionary import plan_dictionary
    from engramctl.tables.opened_rows import open_rows
    from engramctl.tables.view import (
        canonical_note,
        resumable,
        widened_note,
        written_document,
        written_note,
        written_tables,
    )

    if dictionary is None and dictionary_budget is not None:
        raise ConfigError(
            "--dictionary-budget is of a dictionary", hint="name the counts with --dictionary"
        )
    if not dry_run:
        check_target(out, making.maker, force=making.force, resume=resume)
    opened = open_rows(source, scheme, tokenizer)
    sink.notes(opened.notes)
    if dictionary is not None and tokenizer is not None:
        check_counts_tokenizer(dictionary, tokenizer)
    options = LayoutOptions(
        tier=tier,
        form=form,
        page_bytes=None if page_bytes is None else parse_bytes(page_bytes, "--page-bytes"),
        alignment_bytes=parse_bytes(align, "--align"),
        dtype=dtype,
        head_shards=head_shards,
        shard_bytes=parse_bytes(shard_bytes, "--shard-bytes"),
        counts=dictionary,
        dictionary_bytes=parse_bytes(dictionary_budget or "4GiB", "--dictionary-budget"),
        tokenizer=tokenizer,
        scheme=scheme,
    )
    if words := canonical_note(opened, source, out):
        sink.note(words)
    if words := widened_note(opened, dtype):
        sink.note(words)
    with sink.progress("scale", None, "rows") as scanned:
        plan = plan_layout(opened, options, scanned)
    ngrams = by_order = None
    if dictionary is not None:
        with sink.progress("n-grams", None, "n-grams") as counted:
            plan, ngrams = plan_dictionary(plan, dictionary, options.dictionary_bytes, counted)
        by_order = ngrams.by_order()
        if words := pruned_note(dictionary, ngrams.scheme.orders, "others cannot be chosen"):
            sink.note(words)
    losses = []
    if not dry_run:
        total = (verified_bytes(source) or 0) + plan.data_file_bytes
        bar = sink.progress("check and lay out", total, "B")
        with resumable(out, sink.note), bar as advance:
            losses = run_layout(
                opened, plan, out, ngrams, progress=advance, force=making.force, resume=resume
            )
        making.record()
    document = written_document(plan, out, dry_run=dry_run, losses=losses, ngrams=by_order)
    sink.result(document, written_tables(plan, document, each_head=each_head))
    sink.note(written_note(document))
