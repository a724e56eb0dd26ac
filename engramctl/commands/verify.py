"""`engramctl verify`: is every byte right?"""

from pathlib import Path
from typing import Annotated

import typer

from engramctl.arguments.options import Config, Json, Quiet, SchemeFile, number, output_for
from engramctl.errors import ConfigError


def verify(
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="Tables, shards, counts, or an n-gram log.")
    ],
    against: Annotated[
        Path | None,
        typer.Option(
            metavar="SOURCE",
            help="Compare the rows with those of other tables, shards or a checkpoint as well.",
        ),
    ] = None,
    sample: Annotated[
        int | None,
        number("--sample", "Compare about N rows a layer.  [default: all]"),
    ] = None,
    scheme: SchemeFile = None,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Check a folder: manifest, sizes, headers and every checksum.

    Ends with 0 when every byte is right and with 3 at the first that is not,
    naming the file, the offset and the command that makes it again. Of a log that
    traffic fills (bench --fill) every entry is checked, also while a store has it.

      Example:  engramctl verify shards --against tables
    """
    from engramctl.tables.check import verified_bytes, verify_path
    from engramctl.tables.view import compared_facts, verified_document, verified_tables

    sink = output_for(json=json, quiet=quiet)
    if sample is not None and against is None:
        raise ConfigError("--sample says how many rows to compare with --against")
    if scheme is not None and against is None:
        raise ConfigError("--scheme says by which scheme the rows of --against are read")
    with sink.progress("verify", verified_bytes(path), "B") as advance:
        report = verify_path(path, advance)
    document = verified_document(path, report)
    if against is not None:
        from engramctl.tables.compare import compare_rows, rows_to_compare
        from engramctl.tables.opened_rows import open_rows

        ours, theirs = open_rows(path), open_rows(against, scheme)
        sink.notes(theirs.notes)
        with sink.progress("compare", rows_to_compare(ours, sample), "rows") as advance:
            compared = compare_rows(ours, theirs, sample_rows=sample, progress=advance)
        document |= compared_facts(against, compared)
    sink.result(document, verified_tables(document))
