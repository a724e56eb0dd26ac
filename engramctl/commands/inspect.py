"""`engramctl inspect`: what is this?"""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engramctl.arguments.hints import tell_report
from engramctl.arguments.options import (
    Config,
    EachHead,
    Format,
    Heads,
    Json,
    Quiet,
    Tokenizer,
)
from engramctl.arguments.words import source_of
from engramctl.errors import ConfigError
from engramctl.numbers import parse_numbers, whole_number
from engramctl.output import Output

if TYPE_CHECKING:
    from collections.abc import Sequence

    from engramctl.schemes.options import SchemeOptions


def inspect(
    ctx: typer.Context,
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="PATH",
            help="Tables, shards, counts, a checkpoint, a scheme.json, a result, an n-gram log, or "
            "the name of a scheme.",
        ),
    ] = None,
    schemes: Annotated[
        bool, typer.Option("--schemes", help="List the schemes that have a name, and their sizes.")
    ] = False,
    counts: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Hash these mined n-grams with the scheme of PATH: load, collisions and what they "
            "hide, order by order.",
        ),
    ] = None,
    tokenizer: Tokenizer = None,
    slots: Annotated[
        list[str] | None,
        typer.Option(
            metavar="N",
            help="Smallest number of slots a head; repeat, or write N,N, to compare sizes.  "
            "[default: scheme's]",
        ),
    ] = None,
    orders: Annotated[
        list[str] | None,
        typer.Option(metavar="N,N", help="N-gram orders; repeat to compare.  [default: scheme's]"),
    ] = None,
    heads: Heads = None,
    each_head: EachHead = False,
    format: Format = "table",
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Say what a folder, a scheme or a result is.

    Sizes and headers are checked, rows are not: that is `engramctl verify`.
    Counts hold no n-grams that begin before their document does. --tokenizer,
    --slots, --orders and --heads change a named scheme that --counts is used with;
    with counts alone --tokenizer shows n-grams as text. A result shows the table
    of its run again; --format csv gives its cases, for tables of several runs.

    How many slots are enough: several --slots with --counts give a line an order
    and size, with the bytes of the table and the accesses that are overshadowed.

      Example:  engramctl inspect tables --json | jq .bytes_per_token

      Example:  engramctl inspect engram --counts counts --slots 250k --slots 1M
    """
    from engramctl.describe.folders import describe
    from engramctl.describe.schemes import named_schemes, schemes_tables
    from engramctl.describe.view import described_tables, narrow_counts
    from engramctl.schemes.options import FIXED, SchemeOptions

    sink = Output(format="json" if json else format, quiet=quiet)
    if schemes:
        listed = named_schemes()
        sink.result(listed, schemes_tables(listed, raw=sink.format == "csv"))
        return
    if path is None:
        raise ConfigError(
            "inspect needs a PATH: what is it to describe?",
            hint="name a folder, a file or a scheme; --schemes lists those",
        )
    options = SchemeOptions(scheme=str(path), tokenizer=tokenizer, heads=heads)
    windows = [parse_numbers(text, "--orders") for text in orders or ()]
    words = [word for text in slots or () for word in text.split(",")]
    numbers = [whole_number(word, "--slots", least=2) for word in words]
    sizes = [
        replace(options, slots=number, orders=window)
        for window in dict.fromkeys(windows) or (None,)
        for number in dict.fromkeys(numbers) or (None,)
    ]
    if counts is not None:
        _diagnose(sink, sizes, counts, each_head)
        return
    if given := sizes[0].given(*(one for one in FIXED if not _is_filed(ctx, one))):
        raise ConfigError(
            f"{given} changes the scheme that counts are hashed with",
            hint="name the counts with --counts, or leave it out",
        )
    document = describe(path)
    raw = sink.format == "csv"
    tables = described_tables(document, path, tokenizer, raw=raw, each_head=each_head)
    sink.result(document, tables)
    sink.notes(document.get("notes", ()))
    if tokenizer is not None and (cut := narrow_counts(document, tokenizer)):
        sink.note(cut)
    if document["kind"] in ("counts", "bench result"):
        tell_report(sink, path)


def _is_filed(ctx: typer.Context, name: str) -> bool:
    """Whether an option is of the config file, which may hold it for runs with --counts."""
    return source_of(ctx, name) == "DEFAULT_MAP"


def _diagnose(
    sink: Output, sizes: "Sequence[SchemeOptions]", counts: Path, each_head: bool
) -> None:
    """Show what a scheme, in several sizes maybe, does to mined n-grams."""
    from engramctl.describe.scheme_on_counts import counted_orders, scheme_with_heads
    from engramctl.describe.sizes_on_counts import diagnose_sizes
    from engramctl.describe.sizes_view import sizes_tables
    from engramctl.schemes.find import assumed_map

    schemes = [scheme_with_heads(options, counts) for options in sizes]
    if words := assumed_map(sizes[0], schemes[0]):
        sink.note(f"assumed: {words}")
    sink.announce_compilation()
    total = sum(len(scheme.layers) * len(counted_orders(scheme, counts)) for scheme in schemes)
    with sink.progress("hash", total, "orders") as advance:
        document = diagnose_sizes(schemes, counts, advance)
    for order in document["orders_without_counts"]:
        sink.note(f"order {order} is not in {counts}: no line below is about it, the bytes are")
    whole = sink.format in ("csv", "md")
    sink.result(document, sizes_tables(document, each_head=each_head, whole=whole))
    for text in document["warnings"] if whole else ():
        sink.note(text)
