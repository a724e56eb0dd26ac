"""`engramctl env`: what this machine has."""

from pathlib import Path
from typing import Annotated

import typer

from engramctl.commands.options import Config, Json, Quiet, output_for


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
    from engramctl.machine.view import environment_tables

    document = capture(path)
    output_for(json=json, quiet=quiet).result(document, environment_tables(document))
