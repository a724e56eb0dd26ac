"""`engramctl mine`: exact n-gram counts of a corpus."""

from pathlib import Path
from typing import Annotated, Any

import typer

from engramctl.commands.inputs import keep_inputs
from engramctl.commands.options import (
    Config,
    Force,
    Json,
    Quiet,
    Resume,
    output_format,
    parse_bytes,
    parse_numbers,
)
from engramctl.errors import ConfigError
from engramctl.output import Output, Table
from engramctl.reuse.curve_request import counted_scheme, curve_maker, curve_options


def mine(
    corpus: Annotated[
        list[str],
        typer.Argument(
            metavar="CORPUS",
            help="Parquet files, folders (every *.parquet below) or quoted glob patterns, here or "
            "on s3://, gs:// or hf://. Names that begin with . or _ and folders of engramctl are "
            "read only when spelled out.",
            show_default=False,
        ),
    ],
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
        typer.Option(metavar="N", min=1, help="Leave out n-grams that occur fewer than N times."),
    ] = 1,
    top_k: Annotated[
        int | None,
        typer.Option(
            metavar="N", min=1, help="Write only the N most frequent of each order.  [default: all]"
        ),
    ] = None,
    memory: Annotated[
        str,
        typer.Option(metavar="SIZE", help="Memory to use; what does not fit goes to disk."),
    ] = "0.6GiB",
    scheme: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Also count how often each row of this scheme is read: a preset, a scheme.json "
            "or a folder of tables. A preset takes its token map from --tokenizer.",
        ),
    ] = None,
    curves: Annotated[
        bool,
        typer.Option(
            "--curves", help="Also measure what caches and n-gram dictionaries would serve."
        ),
    ] = False,
    held_out: Annotated[
        list[str] | None,
        typer.Option(
            metavar="PATH",
            help="Text to evaluate curves on, not counted; repeat for more. Every tenth document "
            "of CORPUS is held out for them as well.",
        ),
    ] = None,
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
        typer.Option(
            metavar="N",
            help="With --curves: a dictionary learns from the first N tokens of each file, and a "
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
    force: Force = False,
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

    --curves reads the corpus once more and adds cache hit rates (LRU, S3-FIFO,
    fixed rows) for 1, 8, 64 and 512 documents read in turn, the share of
    distinct n-grams in chunks, and what n-gram dictionaries would serve.

      Example:  engramctl mine corpus/ -o counts --min-count 2
    """
    from engramctl.access.recorder import check_counted
    from engramctl.corpus import Corpus
    from engramctl.memory import available_bytes
    from engramctl.mining.local import mine as mine_corpus
    from engramctl.mining.options import MineOptions
    from engramctl.mining.output import counts_maker
    from engramctl.storage.writing.ownership import check_target

    output = Output(format=output_format(json), quiet=quiet)
    keep_inputs(out, *corpus, *(held_out or ()), tokenizer, scheme, config)
    options = MineOptions(
        parse_numbers(orders, "--orders") or (),
        min_count=min_count,
        top_k=top_k,
        memory_bytes=parse_bytes(memory),
        tmp_dir=tmp_dir,
    )
    _check_engine(engine, ray_address, resume, scheme)
    if options.memory_bytes > (free := available_bytes()):
        output.note(
            f"warning: --memory is {options.memory_bytes:,} bytes, and {free:,} are free here, of "
            "the machine or of the container"
        )
    check_target(out, counts_maker(resumable=engine == "local"), force=force, resume=resume)
    rows_of = counted_scheme(output, scheme, tokenizer) if scheme else None
    check_counted(rows_of, options.orders)
    apart = held_out or ()
    reuse = curve_options(curves, rows_of, apart, sample_rate, max_tokens_per_file)
    source = Corpus.open(
        corpus,
        column=column,
        tokenizer=tokenizer,
        vocab_size=rows_of.vocab_size if rows_of else None,
        skip_bad_files=skip_bad_files,
        progress=output.progress,
        note=output.note,
    )
    for file, reason in source.skipped:
        output.note(f"left out {file}: {reason}")
    also = None
    if reuse is not None and rows_of is not None:
        also = curve_maker(output, source, rows_of, tokenizer, apart, reuse)
    output.announce_compilation()
    if engine == "ray":
        from engramctl.mining.ray_engine import mine_on_ray

        summary = mine_on_ray(
            source, out, options, address=ray_address, force=force, also=also,
            progress=output.progress,
        )  # fmt: skip
    else:
        summary = mine_corpus(
            source, out, options, force=force, resume=resume, scheme=rows_of, also=also,
            progress=output.progress,
        )  # fmt: skip
    output.result(summary, _tables(summary))
    output.note(f"wrote {out}")


def _check_engine(engine: str, ray_address: str | None, resume: bool, scheme: str | None) -> None:
    if engine not in ("local", "ray"):
        raise ConfigError(f"unknown engine '{engine}'", facts={"known": "local, ray"})
    if engine == "ray" and resume:
        raise ConfigError("--engine ray cannot --resume", hint="Ray repeats lost tasks itself")
    if engine == "ray" and scheme is not None:
        raise ConfigError("--engine ray cannot count the rows of a --scheme", hint="mine locally")
    if engine == "local" and ray_address is not None:
        raise ConfigError("--ray-address belongs to --engine ray", hint="add --engine ray")


def _tables(summary: dict[str, Any]) -> list[Table]:
    from engramctl.access.view import access_tables, order_table

    names = ("tokens", "documents", "column", "min_count", "top_k")
    tables = [
        Table("corpus", [{name: summary[name] for name in names}]),
        order_table(summary["orders"]),
    ]
    if summary["access"]:
        tables += access_tables(summary["access"])
    if summary["skipped_files"]:
        tables.append(Table("files left out", summary["skipped_files"]))
    if "reuse" in summary:
        from engramctl.reuse.view import reuse_tables

        tables += reuse_tables(summary["reuse"])
    return tables
