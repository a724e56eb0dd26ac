"""What to do next, told on stderr where a command ends."""

import shlex
from pathlib import Path

from engramctl.output import Output


def tell_report(sink: Output, made: Path) -> None:
    """Say how a result or counts are drawn."""
    sink.note(f"draw it with: engramctl report {shlex.quote(str(made))} -o report.html")
