"""`engramctl inspect`: what is this?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from engramctl.commands.options import (
    Config,
    Format,
    Heads,
    Json,
    Orders,
    Quiet,
    Slots,
    Tokenizer,
)
from engramctl.errors import ConfigError
from engramctl.output import Output
from engramctl.terminal.numbers import parse_numbers

if TYPE_CHECKING:
    from engramctl.schemes.options import SchemeOptions


def inspect(
    path: Annotated[
        Path,
        typer.Argument(
            metavar="PATH",
            help="Tables, shards, counts, a checkpoint, a scheme.json or a result; with --counts "
            "also a preset's name.",
        ),
    ],
    counts: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Hash these mined n-grams with the scheme of PATH: load and collisions of every "
            "head, beside what chance would give.",
        ),
    ] = None,
    tokenizer: Tokenizer = None,
    slots: Slots = None,
    orders: Orders = None,
    heads: Heads = None,
    format: Format = "table",
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Say what a folder, a scheme or a result is.

    Sizes and headers are checked, rows are not: that is `engramctl verify`.
    Counts hold no n-grams that begin before their document does. --tokenizer,
    --slots, --orders and --heads change a preset that --counts is used with;
    with counts alone --tokenizer shows n-grams as text. A result shows the table
    of its run again; --format csv gives its cases, for tables of several runs.

      Example:  engramctl inspect tables --json | jq .bytes_per_token
    """
    from engramctl.describe.folders import describe
    from engramctl.describe.view import described_tables
    from engramctl.schemes.options import FIXED, SchemeOptions

    sink = Output(format="json" if json else format, quiet=quiet)
    options = SchemeOptions(
        scheme=str(path),
        tokenizer=tokenizer,
        slots=slots,
        orders=parse_numbers(orders, "--orders"),
        heads=heads,
    )
    if counts is not None:
        _diagnose(sink, options, counts)
        return
    if given := options.given(*FIXED):
        raise ConfigError(
            f"{given} changes the scheme that counts are hashed with",
            hint="name the counts with --counts, or leave it out",
        )
    document = describe(path)
    raw = sink.format == "csv"
    sink.result(document, described_tables(document, path, tokenizer, raw=raw))


def _diagnose(sink: Output, options: "SchemeOptions", counts: Path) -> None:
    """Show what a scheme does to mined n-grams."""
    from engramctl.describe.scheme_on_counts import (
        diagnose_counts,
        diagnosis_tables,
        scheme_with_heads,
    )
    from engramctl.schemes.find import assumed_map

    scheme = scheme_with_heads(options, counts)
    if words := assumed_map(options, scheme):
        sink.note(f"assumed: {words}")
    sink.announce_compilation()
    total = len(scheme.layers) * len(scheme.orders)
    with sink.progress("hash", total, "orders") as advance:
        document = diagnose_counts(scheme, counts, advance)
    for order in document["orders_without_counts"]:
        sink.note(f"order {order} is not in {counts}")
    sink.result(document, diagnosis_tables(document))
