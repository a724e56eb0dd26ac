"""`engramctl rows`: token ids in, row ids out."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from engramctl.arguments.inputs import keep_inputs
from engramctl.arguments.options import (
    Config,
    Force,
    Heads,
    Json,
    Orders,
    Quiet,
    Slots,
    Tokenizer,
    number,
    output_for,
)
from engramctl.errors import ConfigError
from engramctl.numbers import parse_numbers
from engramctl.schemes.names import DEFAULT_SCHEME


def rows(
    source: Annotated[
        Path | None,
        typer.Argument(
            metavar="INPUT",
            help="A file of JSON lines, or Parquet: a file, a folder or a quoted pattern.  "
            "[default: JSON lines on stdin]",
        ),
    ] = None,
    scheme: Annotated[
        str,
        typer.Option(
            metavar="NAME",
            help="A name, as engramctl inspect --schemes lists them, a scheme.json, a folder of "
            "tables, or dictionary (with --counts).",
        ),
    ] = DEFAULT_SCHEME,
    tokenizer: Tokenizer = None,
    slots: Slots = None,
    orders: Orders = None,
    heads: Heads = None,
    layers: Annotated[
        str | None,
        typer.Option(metavar="N,N", help="Layers the scheme is made for.  [default: scheme's]"),
    ] = None,
    counts: Annotated[
        Path | None,
        typer.Option(metavar="DIR", help="Mined counts that a dictionary is made from."),
    ] = None,
    entries: Annotated[
        int | None,
        number("--entries", "Keep the N most frequent n-grams, all lengths.  [default: 1000000]"),
    ] = None,
    min_count: Annotated[
        int | None,
        number("--min-count", "Keep n-grams that occur N times or more.  [default: 5]"),
    ] = None,
    vocab_size: Annotated[
        int | None,
        number("--vocab-size", "Token ids of a dictionary.  [default: 2^bits of the mined ids]"),
    ] = None,
    save_scheme: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write the scheme, with all that follows from it."),
    ] = None,
    layer: Annotated[
        list[int] | None,
        number(
            "--layer", "Show this layer; repeat for more.  [default: all]", metavar="L", least=0
        ),
    ] = None,
    column: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Parquet column.  [default: input_ids or token_ids]"),
    ] = None,
    canonical: Annotated[
        bool,
        typer.Option(
            "--canonical", help="The ids are canonical ids already: the token map is left out."
        ),
    ] = False,
    history: Annotated[
        bool,
        typer.Option("--history", help="Sequences are chunks of one: each continues the last."),
    ] = False,
    explain: Annotated[
        int | None,
        number(
            "--explain",
            "Show how one position of the first sequence goes.",
            metavar="POSITION",
            least=0,
        ),
    ] = None,
    diff: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Compare with another engine's row ids, JSON lines."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option("-o", "--out", metavar="FILE", help="Write FILE: .parquet, or JSON lines."),
    ] = None,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Turn token ids into row ids, one line a sequence.

    A line of input is a list of token ids, such as [17, 4, 17], or for a chunk
    {"token_ids": [17], "history": [4, 17]}; -1 is a masked token. A line of
    output has a list a position and a row id a head: {"rows": {"1": [[7, 19]]}}.
    Memory does not grow with the input, but with --json it does.

    --diff ends with 0 when every row id is equal and with 3 when one is not,
    and names the mistake if it is a known one.

    --scheme dictionary looks n-grams up exactly: one row id a position, that
    of the longest n-gram that ends there, -1 for none. --save-scheme keeps the
    list, to be named as the scheme from then on.

      Example:  engramctl rows tokens.jsonl --scheme engram --explain 2
    """
    from engramctl.rows.answers import Answer
    from engramctl.rows.sequences import chained, is_parquet, open_sequences
    from engramctl.schemes.find import (
        assumed_map,
        chosen_layers,
        find_scheme,
        lacking_ngrams,
        taking_canonical_ids,
        taking_token_ids,
        write_scheme,
    )
    from engramctl.schemes.options import SchemeOptions

    if sum(choice is not None for choice in (explain, diff, out)) > 1:
        raise ConfigError("--explain, --diff and --out exclude each other", hint="give one")
    sink = output_for(json=json, quiet=quiet)
    for written in (out, save_scheme):
        keep_inputs(written, source, scheme, tokenizer, counts, diff, config)
    options = SchemeOptions(
        scheme=scheme,
        tokenizer=tokenizer,
        reads_text=source is not None and is_parquet(source),
        slots=slots,
        orders=parse_numbers(orders, "--orders"),
        heads=heads,
        layers=parse_numbers(layers, "--layers"),
        counts=counts,
        entries=entries,
        min_count=min_count,
        vocab_size=vocab_size,
    )
    sink.announce_compilation()
    made = find_scheme(options)
    if words := lacking_ngrams(options, made):
        sink.note(words)
    shown = chosen_layers(made, layer)
    if canonical:
        made, tokenizer = taking_canonical_ids(made), None
    else:
        made = taking_token_ids(made, scheme, ", or add --canonical if the ids are canonical")
        if words := assumed_map(options, made):
            sink.note(f"assumed: {words}")
    if save_scheme is not None:
        write_scheme(made, save_scheme, force=force)
    answer = Answer(sink, made, shown)
    with open_sequences(source, made, column, tokenizer, sink.note) as found:
        sequences = chained(found, max(made.orders) - 1) if history else found
        if explain is not None:
            answer.explain(sequences, explain)
        elif diff is not None:
            again = [str(source or "tokens.jsonl"), *options.words()]
            again += ["--canonical"] if canonical else []
            answer.compare(sequences, diff, again)
        elif out is not None:
            answer.write(sequences, out, force=force)
        else:
            answer.print(sequences, sys.stdout)
