"""`engramctl env`: what this machine has."""

from pathlib import Path
from typing import Annotated, Any

import typer

from engramctl.commands.options import Config, Json, Quiet, output_format
from engramctl.output import Output, Table


def env(
    path: Annotated[
        Path | None,
        typer.Argument(metavar="PATH", help="Describe the disk of PATH.  [default: here]"),
    ] = None,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Show what this machine has: devices, disk, libraries.

    Every result of `bench` carries the same document.

      Example:  engramctl env --json | jq .disk
    """
    from engramctl.machine.environment import capture

    out = Output(format=output_format(json), quiet=quiet)
    document = capture(path)
    out.result(document, [Table("this machine", list(_rows(document)))])


def _rows(document: dict[str, Any], prefix: str = "") -> list[dict[str, object]]:
    rows: list[dict[str, object]] = []
    for name, value in document.items():
        if isinstance(value, dict):
            rows += _rows(value, f"{prefix}{name}.")
        else:
            shown = ", ".join(str(item) for item in value) if isinstance(value, list) else value
            rows.append({"fact": prefix + name, "value": shown})
    return rows
