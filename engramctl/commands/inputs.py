"""A command's inputs outlive it: no output takes the place of one."""

import os
from pathlib import Path

from engramctl.errors import ConfigError

_PATTERN = "*?["


def keep_inputs(out: Path | None, *inputs: str | Path | None) -> None:
    """Refuse an output that would replace an input, one of its files, or a folder that holds it.

    Links and other names of the same file count as it; inputs on remote systems, names of schemes
    and what does not exist are never meant.

    Args:
        out: the file or folder to make.
        inputs: files, folders and quoted patterns that the command reads.

    Raises:
        ConfigError: `out` is there and is, or holds, or is part of an input.
    """
    for one in inputs:
        if out is not None and one is not None and _replaces(out, _rooted(Path(one))):
            raise ConfigError(
                f"{out} cannot be the output: it would replace an input",
                facts={"input": one},
                hint="name another with -o",
            )


def _rooted(source: Path) -> Path:
    """Return a path, or of a pattern the folder in which it looks."""
    while any(one in str(source) for one in _PATTERN) and not os.path.exists(source):
        source = source.parent
    return source


def _replaces(out: Path, source: Path) -> bool:
    try:
        if out.samefile(source):
            return True
        place, origin = out.resolve(), source.resolve()
        if out.is_dir():
            return place in origin.parents
        return source.is_dir() and origin in place.parents
    except (OSError, ValueError, RuntimeError):
        return False  # one of them is not there, or may not be looked at: opening it says so
