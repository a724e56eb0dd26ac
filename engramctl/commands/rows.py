"""`engramctl rows`: token ids in, row ids out."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engramctl.commands.inputs import keep_inputs
from engramctl.commands.options import (
    Config,
    Force,
    Heads,
    Json,
    Orders,
    Quiet,
    Slots,
    Tokenizer,
    output_format,
    parse_numbers,
)
from engramctl.errors import CheckFailed, ConfigError
from engramctl.output import Output, Table

if TYPE_CHECKING:
    from engramctl.hashing import Lookup
    from engramctl.rows.diff import Comparison
    from engramctl.rows.sequences import TokenSequence

DEFAULT_SCHEME = "deepseek-v41"


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
            help="A preset, a scheme.json, a folder of tables, or dictionary (with --counts).",
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
        typer.Option(
            metavar="N", help="Keep the N most frequent n-grams, all lengths.  [default: 1000000]"
        ),
    ] = None,
    min_count: Annotated[
        int | None,
        typer.Option(metavar="N", help="Keep n-grams that occur N times or more.  [default: 5]"),
    ] = None,
    vocab_size: Annotated[
        int | None,
        typer.Option(
            metavar="N", help="Token ids of a dictionary.  [default: 2^bits of the mined ids]"
        ),
    ] = None,
    save_scheme: Annotated[
        Path | None,
        typer.Option(metavar="FILE", help="Also write the scheme, with all that follows from it."),
    ] = None,
    layer: Annotated[
        list[int] | None,
        typer.Option(metavar="L", help="Show this layer; repeat for more.  [default: all]"),
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
        typer.Option(metavar="POSITION", help="Show how one position of the first sequence goes."),
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
    from engramctl.rows.sequences import is_parquet
    from engramctl.scheme_sources import (
        assumed_map,
        chosen_layers,
        find_scheme,
        lacking_ngrams,
        taking_canonical_ids,
        taking_token_ids,
        write_scheme,
    )
    from engramctl.schemes import SchemeOptions

    if sum(choice is not None for choice in (explain, diff, out)) > 1:
        raise ConfigError("--explain, --diff and --out exclude each other", hint="give one")
    sink = Output(format=output_format(json), quiet=quiet)
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
    with _sequences(source, made, column, tokenizer, sink) as found:
        sequences = _continued(found, made) if history else found
        if explain is not None:
            _explain(sink, made, shown, sequences, explain)
        elif diff is not None:
            _diff(sink, made, shown, sequences, diff)
        elif out is not None:
            _write(sink, made, shown, sequences, out, force=force)
        else:
            _print(sink, made, shown, sequences)


@contextmanager
def _sequences(
    source: Path | None,
    scheme: "Lookup",
    column: str | None,
    tokenizer: Path | None,
    sink: Output,
) -> "Iterator[Iterator[TokenSequence]]":
    """Open the input, whatever it is."""
    from engramctl.rows.sequences import is_parquet, json_sequences, parquet_sequences
    from engramctl.storage.atomic import os_errors

    if source is not None and is_parquet(source):
        yield parquet_sequences(source, scheme, column, tokenizer, sink.note)
    elif column is not None:
        raise ConfigError("--column names a Parquet column; the input is JSON lines")
    elif source is None or str(source) == "-":
        yield json_sequences(sys.stdin.buffer, "stdin", scheme)
    else:
        with os_errors("read", source):
            file = source.open("rb")
        with file:
            yield json_sequences(file, str(source), scheme)


def _continued(sequences: "Iterator[TokenSequence]", scheme: "Lookup") -> "Iterator[TokenSequence]":
    from engramctl.rows.sequences import chained

    return chained(sequences, max(scheme.orders) - 1)


def _layer_rows(
    sequences: "Iterator[TokenSequence]", scheme: "Lookup", layers: tuple[int, ...]
) -> Iterator[dict[int, Any]]:
    for sequence in sequences:
        yield {layer: sequence.row_ids(scheme, layer) for layer in layers}


def _print(
    sink: Output,
    scheme: "Lookup",
    layers: tuple[int, ...],
    sequences: "Iterator[TokenSequence]",
) -> None:
    """Print lines as they come, or with --json one document at the end."""
    from engramctl.rows.files import as_document, write_line

    every = _layer_rows(sequences, scheme, layers)
    if sink.format == "json":
        documents = [as_document(one) for one in every]
        sink.result({"kernel": scheme.kernel(), "sequences": documents})
        return
    for one in every:
        write_line(one, sys.stdout)


def _write(
    sink: Output,
    scheme: "Lookup",
    layers: tuple[int, ...],
    sequences: "Iterator[TokenSequence]",
    out: Path,
    *,
    force: bool,
) -> None:
    """Write a file that appears when it is whole."""
    from engramctl.rows.files import write_file

    written = write_file(
        _layer_rows(sequences, scheme, layers),
        out,
        {layer: scheme.num_heads for layer in layers},
        force=force,
    )
    document = {
        "path": str(out),
        "scheme": scheme.name,
        "layers": list(layers),
        "kernel": scheme.kernel(),
        **written,
    }
    sink.result(document, [Table("row ids", [{**document, "layers": _words(layers)}])])


def _explain(
    sink: Output,
    scheme: "Lookup",
    layers: tuple[int, ...],
    sequences: "Iterator[TokenSequence]",
    position: int,
) -> None:
    from engramctl.commands.explained import explained

    first = next(sequences, None)
    length = 0 if first is None else len(first.token_ids)
    if first is None or not 0 <= position < length:
        raise ConfigError(
            f"the first sequence has no position {position}",
            facts={"positions": f"0 to {length - 1}" if length else "none"},
        )
    past = [] if first.history is None else first.history.tolist()
    documents, tables = explained(scheme, first.token_ids.tolist(), position, layers, past)
    sink.result({"position": position, "layers": documents}, tables)


def _diff(
    sink: Output,
    scheme: "Lookup",
    layers: tuple[int, ...],
    sequences: "Iterator[TokenSequence]",
    path: Path,
) -> None:
    from engramctl.rows.diff import compare
    from engramctl.rows.files import read_lines
    from engramctl.storage.atomic import os_errors

    with os_errors("read", path):
        file = path.open("rb")
    with file:
        found = compare(scheme, layers, sequences, read_lines(file, str(path)), str(path))
    document = found.document()
    counts = {name: document[name] for name in ("sequences", "compared_ids", "differing_ids")}
    title = "every row id is equal" if found.first is None else "row ids differ"
    sink.result(document, [Table(title, [counts])])
    if found.first is not None:
        raise _failure(found, path)


def _failure(found: "Comparison", path: Path) -> CheckFailed:
    first = found.first
    assert first is not None
    likely = [f"{one.name}: {one.explanation}" for one in found.likely]
    return CheckFailed(
        f"{path} has {found.differing_ids:,} other row ids of {found.compared_ids:,}",
        facts={
            "first": f"sequence {first.sequence}, position {first.position}, layer {first.layer}, "
            f"order {first.order}, head {first.head}",
            "expected": first.expected,
            "found": first.found,
            "likely": "\n          ".join(likely) or _closest(found),
        },
        hint=None
        if likely
        else f"look at: engramctl rows --layer {first.layer} --explain {first.position}",
    )


def _closest(found: "Comparison") -> str:
    if found.closest is None:
        return "no known mistake gives these ids"
    return (
        f"no known mistake gives all these ids; closest, with {found.closest_percent:.1f} % of "
        f"those that differ: {found.closest.name}: {found.closest.explanation}"
    )


def _words(layers: tuple[int, ...]) -> str:
    return ", ".join(map(str, layers))
