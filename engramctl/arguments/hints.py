"""What to do next, told on stderr where a command ends."""

import shlex
from pathlib import Path

from engramctl.output import Output


def tell_report(sink: Output, made: Path, *, wanted: bool = True) -> None:
    """Say how a result or counts are drawn; nothing unless that is wanted."""
    if wanted:
        sink.note(f"draw it with: engramctl report {shlex.quote(str(made))} -o report.html")


def tell_result(sink: Output, out: Path | None) -> None:
    """Say what can be done with a result that was kept in a file; nothing of a pipe."""
    from engramctl.storage.files.output_file import is_stream  # --help needs none of it

    if out is not None and not is_stream(out):
        tell_report(sink, out)
        sink.note(
            f"hold another run against it: engramctl compare {shlex.quote(str(out))} OTHER.json"
        )
