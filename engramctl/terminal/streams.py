"""Standard input, output and error of the process, whatever state they were handed over in."""

import contextlib
import io
import os
import sys
from typing import TextIO

from engramctl.terminal.words import broken


class _Result(io.TextIOWrapper):
    """Standard output whose errors say where they come from, as those of files do."""

    def write(self, text: str) -> int:
        """Write text; an OSError names the stream."""
        try:
            return super().write(text)
        except OSError as error:
            error.filename = "standard output"
            raise

    def flush(self) -> None:
        """Write what is buffered; an OSError names the stream."""
        try:
            super().flush()
        except OSError as error:
            error.filename = "standard output"
            raise


def keep_streams() -> None:
    """Let descriptors 0 to 2 be open, and let every text be printable.

    Of a closed one the next file opened would take the number, and what is printed would go there.
    A file name that is not UTF-8, or that the terminal's encoding lacks, is printed escaped.
    """
    for number, name in enumerate(("stdin", "stdout", "stderr")):
        try:
            os.fstat(number)
        except OSError:
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)  # the lowest number free
        if getattr(sys, name) is None:
            stream = open(number, "w" if number else "r", closefd=False)  # noqa: SIM115
            setattr(sys, name, stream)
            setattr(sys, f"__{name}__", stream)
    if isinstance(sys.stderr, io.TextIOWrapper):
        sys.stderr.reconfigure(errors="backslashreplace")
    old = sys.stdout
    if isinstance(old, io.TextIOWrapper):
        sys.stdout = _Result(
            old.buffer,
            encoding=old.encoding,
            errors="backslashreplace",
            line_buffering=old.line_buffering,
            write_through=old.write_through,
        )


def tell(text: str) -> None:
    """Print lines for people on stderr; one that is full or closed hears nothing, and that is all.

    Each line must be printable by itself: a note is one, `EngramError.render` escapes its own. A
    terminal breaks them between words, but never a command that may be pasted.
    """
    width = _columns()
    with contextlib.suppress(OSError, ValueError):
        lines = [part for line in text.split("\n") for part in broken(line, width)]
        print("\n".join(lines), file=sys.stderr, flush=True)


def _columns() -> int:
    """Return the width of the terminal that stderr is, 0 where it is none."""
    try:
        return os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        return 0


def settle_streams() -> None:
    """Give up what cannot be written, so that Python does not try again, and fail, as it ends."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            _give_up(stream)


def _give_up(stream: TextIO) -> None:
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())
