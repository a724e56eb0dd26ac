"""`engramctl inspect`: what is this?"""

from pathlib import Path
from typing import Annotated

import typer

from engramctl.commands.options import Config, Json, Quiet, output_format
from engramctl.output import Output, Table


def inspect(
    path: Annotated[
        Path,
        typer.Argument(metavar="PATH", help="Tables, shards, counts, a scheme.json or a result."),
    ],
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Say what a folder, a scheme or a result is.

    Sizes and headers are checked, rows are not: that is `engramctl verify`.

      Example:  engramctl inspect tables --json | jq .bytes_per_token
    """
    from engramctl.describe import describe

    sink = Output(format=output_format(json), quiet=quiet)
    document = describe(path)
    facts = [
        {"fact": name.replace("_", " "), "value": value}
        for name, value in document.items()
        if not isinstance(value, list | dict) and value is not None
    ]
    tables = [Table(str(document["kind"]), facts)]
    tables += [
        Table(name, rows) for name, rows in document.items() if isinstance(rows, list) and rows
    ]
    sink.result(document, tables)
