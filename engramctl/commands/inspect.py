"""`engramctl inspect`: what is this?"""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engramctl.commands.options import (
    Config,
    Heads,
    Json,
    Orders,
    Quiet,
    Slots,
    Tokenizer,
    output_format,
    parse_numbers,
)
from engramctl.errors import ConfigError, FormatError
from engramctl.output import Output, Table

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
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Say what a folder, a scheme or a result is.

    Sizes and headers are checked, rows are not: that is `engramctl verify`.
    Counts hold no n-grams that begin before their document does. --tokenizer,
    --slots, --orders and --heads change a preset that --counts is used with;
    with counts alone --tokenizer shows n-grams as text.

      Example:  engramctl inspect tables --json | jq .bytes_per_token
    """
    from engramctl.schemes.options import FIXED, SchemeOptions

    sink = Output(format=output_format(json), quiet=quiet)
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
    from engramctl.describe.folders import describe

    document = describe(path)
    if document["kind"] == "counts":
        try:
            tables = _counts_tables(document, path, tokenizer)
        except (LookupError, TypeError, ValueError, AttributeError) as error:
            raise FormatError(
                f"summary.json of {path} is not as mine writes it",
                facts={"found": f"{type(error).__name__}: {error}"[:200]},
                hint=f"run: engramctl verify {path}",
            ) from error
        sink.result(document, tables)
        return
    if tokenizer is not None:
        raise ConfigError(f"{path} has no n-grams to show as text", hint="leave out --tokenizer")
    sink.result(document, _tables(document))


def _tables(document: dict[str, Any]) -> list[Table]:
    """Show facts as one table, and every list as one of its own."""
    facts = [
        {"fact": name.replace("_", " "), "value": value}
        for name, value in document.items()
        if not isinstance(value, list | dict) and value is not None
    ]
    tables = [Table(str(document["kind"]), facts)]
    tables += [
        Table(name, rows) for name, rows in document.items() if isinstance(rows, list) and rows
    ]
    return tables


def _counts_tables(document: dict[str, Any], path: Path, tokenizer: Path | None) -> list[Table]:
    """Show counts: facts, orders, and what the run found of rows and caches."""
    from engramctl.access.view import access_tables, order_table
    from engramctl.counts.manifest import read_counts_manifest
    from engramctl.counts.text import ngram_text
    from engramctl.reuse.view import reuse_tables
    from engramctl.vocabulary.fingerprints import of_counts

    text = None
    if tokenizer is not None:
        text = ngram_text(tokenizer, of_counts(path, read_counts_manifest(path)))
    tables = _tables({**document, "orders": None})
    tables.append(order_table(document["orders"], text))
    if "access" in document:
        tables += access_tables(document["access"])
    if "reuse" in document:
        tables += reuse_tables(document["reuse"])
    return tables


def _diagnose(sink: Output, options: "SchemeOptions", counts: Path) -> None:
    """Show what a scheme does to mined n-grams."""
    from engramctl.counts.manifest import read_counts_manifest
    from engramctl.describe.scheme_on_counts import diagnose_counts, head_rows, order_rows
    from engramctl.hashing import DictionaryScheme
    from engramctl.schemes.find import assumed_map, find_scheme
    from engramctl.vocabulary.fingerprints import check_tokenizer, of_counts

    scheme = find_scheme(options)
    if options.tokenizer is not None:
        check_tokenizer(options.tokenizer, of_counts(counts, read_counts_manifest(counts)))
    if isinstance(scheme, DictionaryScheme):
        raise ConfigError(
            "a dictionary has no heads in which n-grams could collide",
            hint="name a hashed scheme, or leave out --counts",
        )
    if words := assumed_map(options, scheme):
        sink.note(f"assumed: {words}")
    sink.announce_compilation()
    total = len(scheme.layers) * len(scheme.orders)
    with sink.progress("hash", total, "orders") as advance:
        document = diagnose_counts(scheme, counts, advance)
    for order in document["orders_without_counts"]:
        sink.note(f"order {order} is not in {counts}")
    sink.result(
        document,
        [
            Table("n-grams (joint: colliding in every head)", order_rows(document)),
            Table("heads, each beside pure chance", head_rows(document)),
            Table("warnings", [{"warning": text} for text in document["warnings"]]),
        ],
    )
