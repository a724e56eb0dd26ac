"""`engramctl mine`: exact n-gram counts of a corpus."""

from pathlib import Path
from typing import Annotated

import typer

from engramctl.arguments.hints import tell_report
from engramctl.arguments.inputs import CorpusNames, HeldOut, IfNeeded, begin_making, keep_inputs
from engramctl.arguments.options import (
    Config,
    EachHead,
    Force,
    Json,
    Quiet,
    Resume,
    number,
    output_for,
)
from engramctl.numbers import parse_bytes, parse_numbers


def mine(
    ctx: typer.Context,
    corpus: CorpusNames,
    out: Annotated[
        Path,
        typer.Option(
            "-o", "--out", metavar="COUNTS", help="The folder to make.", show_default=False
        ),
    ],
    column: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Column of token-id lists (any integer type) or of text.  [default: with "
            "--tokenizer text, else input_ids, else token_ids]",
        ),
    ] = None,
    tokenizer: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="The tokenizer.json that turns text into ids, without special tokens. With a "
            "column of ids it only bounds them.",
        ),
    ] = None,
    orders: Annotated[
        str, typer.Option(metavar="LIST", help="Lengths of n-grams to count, 1 to 5.")
    ] = "1,2,3,4",
    min_count: Annotated[
        int,
        number("--min-count", "Leave out n-grams that occur fewer than N times."),
    ] = 1,
    top_k: Annotated[
        int | None,
        number("--top-k", "Write only the N most frequent of each order.  [default: all]"),
    ] = None,
    memory: Annotated[
        str,
        typer.Option(metavar="SIZE", help="Memory to use; what does not fit goes to disk."),
    ] = "0.6GiB",
    scheme: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Also count how often each row of this scheme is read: a name, as engramctl "
            "inspect --schemes lists them, a scheme.json or a folder of tables. A named one takes "
            "its token map from --tokenizer.",
        ),
    ] = None,
    curves: Annotated[
        bool,
        typer.Option(
            "--curves",
            help="Also measure hit-rate curves: what caches and n-gram dictionaries would serve.",
        ),
    ] = False,
    held_out: HeldOut = None,
    sample_rate: Annotated[
        float | None,
        typer.Option(
            metavar="RATE",
            help="Share of rows that LRU and S3-FIFO are simulated with: 1, 0.5, 0.25, ..  "
            "[default: by size]",
        ),
    ] = None,
    max_tokens_per_file: Annotated[
        int | None,
        number(
            "--max-tokens-per-file",
            "With --curves: a dictionary learns from the first N tokens of each file, and a "
            "document is cut there.  [default: all]",
        ),
    ] = None,
    tmp_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Where what does not fit in memory goes.  [default: beside COUNTS]"
        ),
    ] = None,
    engine: Annotated[
        str, typer.Option(metavar="NAME", help="local, or ray: the same result from a cluster.")
    ] = "local",
    ray_address: Annotated[
        str | None,
        typer.Option(
            metavar="ADDR", help="The cluster of --engine ray.  [default: RAY_ADDRESS, else here]"
        ),
    ] = None,
    resume: Resume = False,
    skip_bad_files: Annotated[
        bool,
        typer.Option(
            "--skip-bad-files",
            help="Leave out files and folders that cannot be read or used, and list them. Decodes "
            "every file once more, before counting, so that none counts by half.",
        ),
    ] = False,
    each_head: EachHead = False,
    force: Force = False,
    if_needed: IfNeeded = None,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Count the n-grams of a corpus exactly.

    Reads Parquet once, never counts across the end of a document, and writes
    one Parquet file an order with columns token_ids and count. The result does
    not depend on memory or cores. Needs 8 bytes a token on the disk while it
    works (16 for order 5), less what fits in memory. A run that was killed
    goes on with --resume from at most a minute of reading before.

    --scheme writes access.layer01.parquet (row_id, count) and so on, as the model
    would read the text. With a token map canonical ids are counted. It needs 16
    to 24 bytes a distinct n-gram on the disk more.

    --curves reads the corpus once more and adds hit-rate curves (LRU, S3-FIFO,
    fixed rows) for 1, 8, 64 and 512 documents read in turn, the share of
    distinct n-grams in chunks, and what n-gram dictionaries would serve.

      Example:  engramctl mine corpus/ -o counts --min-count 2
    """
    from engramctl.mining.folder import counts_maker
    from engramctl.storage.writing.ownership import check_target

    sink = output_for(json=json, quiet=quiet)
    keep_inputs(out, *corpus, *(held_out or ()), tokenizer, scheme, config)
    maker = counts_maker(resumable=engine == "local")
    making = begin_making(ctx, sink, maker)
    if making.up_to_date:
        return

    from engramctl.access.recorder import check_counted
    from engramctl.corpus.corpus import Corpus
    from engramctl.describe.counts_view import summary_tables
    from engramctl.mining.engines import check_engine, mine_with
    from engramctl.mining.options import MineOptions
    from engramctl.reuse.curve_request import counted_scheme, curve_request
    from engramctl.vocabulary.narrow_ids import narrow_ids

    options = MineOptions(
        parse_numbers(orders, "--orders") or (), min_count=min_count, top_k=top_k,
        memory_bytes=parse_bytes(memory, "--memory"), tmp_dir=tmp_dir,
    )  # fmt: skip
    check_engine(engine, ray_address, resume, scheme)
    if words := options.memory_warning():
        sink.note(words)
    check_target(out, maker, force=making.force, resume=resume)
    rows_of = counted_scheme(scheme, tokenizer, sink.note) if scheme else None
    check_counted(rows_of, options.orders)
    asked = curve_request(
        curves, rows_of, tokenizer, held_out or (), sample_rate, max_tokens_per_file
    )
    source = Corpus.open(
        corpus,
        column=column,
        tokenizer=tokenizer,
        vocab_size=rows_of.vocab_size if rows_of else None,
        skip_bad_files=skip_bad_files,
        progress=sink.progress,
        note=sink.note,
    )
    sink.notes(f"left out {file}: {reason}" for file, reason in source.skipped)
    also = None if asked is None else asked.maker(source, sink.note, sink.progress)
    sink.announce_compilation()
    summary = mine_with(
        engine, source, out, options, ray_address=ray_address, force=making.force, resume=resume,
        scheme=rows_of, also=also, progress=sink.progress,
    )  # fmt: skip
    making.record()
    if not summary["tokens"]:
        sink.note("no n-gram was counted: every document is empty")
    known = source.max_id if source.why_text is None and (tokenizer or rows_of) else None
    if known and (cut := narrow_ids(summary["max_token_id"], known + 1, source.id_bits)):
        sink.note(cut)
    sink.result(summary, summary_tables(summary, each_head=each_head))
    sink.note(f"wrote {out}")
    tell_report(sink, out, wanted=curves)
