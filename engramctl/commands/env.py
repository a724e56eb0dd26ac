"""`engramctl env`: what this machine has, and what it can do."""

from pathlib import Path
from typing import Annotated

import typer

from engramctl.arguments.options import Config, Json, Quiet, output_for


def env(
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="PATH",
            help="Describe the disk of PATH, or with --probe a file on it.  [default: here]",
        ),
    ] = None,
    probe: Annotated[
        bool,
        typer.Option(
            "--probe",
            help="Measure that disk, and memory: some 10 seconds, best on an idle machine.",
        ),
    ] = False,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Show what this machine has: devices, disk, libraries.

    Every result of `bench` carries the same document. With --probe also what the disk can do at
    most, engine by engine: the largest file of a folder is read, or one of 1 GiB that is written
    there and removed again.

      Example:  engramctl env --json | jq .disk
                engramctl env --probe /mnt/nvme
    """
    from engramctl.machine.environment import capture
    from engramctl.machine.view import environment_tables, probe_tables

    out = output_for(json=json, quiet=quiet)
    if not probe:
        document = capture(path)
        out.result(document, environment_tables(document))
        return
    from engramctl.machine.probe import probe as measure

    out.announce_compilation()
    out.note("measuring disk and memory, about 10 seconds")
    found = measure(path or Path.cwd())
    document = capture(path)
    out.result(document | {"probe": found}, environment_tables(document) + probe_tables(found))
