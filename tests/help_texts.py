"""Every command's help as text; `python -m tests.help_texts` writes the golden files anew."""

import contextlib
import io
import os
from pathlib import Path

from engramctl.cli import COMMANDS, run

FOLDER = Path(__file__).parent / "help"


def help_text(*command: str) -> str:
    """The help of one command (none: of the program), at 80 columns."""
    text = io.StringIO()
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "80"
    try:
        with contextlib.redirect_stdout(text):
            assert run([*command, "--help"]) == 0
    finally:
        if before is None:
            del os.environ["COLUMNS"]
        else:
            os.environ["COLUMNS"] = before
    return text.getvalue()


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for stale in FOLDER.glob("*.txt"):
        stale.unlink()
    (FOLDER / "engramctl.txt").write_text(help_text())
    for name in COMMANDS:
        (FOLDER / f"{name}.txt").write_text(help_text(name))
