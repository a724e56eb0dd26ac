"""A command's inputs: no output takes the place of one, and what was made of them can be proved."""

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from engramctl.errors import ConfigError
from engramctl.numbers import parse_bytes, parse_numbers
from engramctl.output import Output

if TYPE_CHECKING:
    from engramctl.storage.writing.ownership import Maker
    from engramctl.upkeep.making import Making

CorpusNames = Annotated[
    list[str],
    typer.Argument(
        metavar="CORPUS",
        help="Parquet files, folders (every *.parquet below) or quoted glob patterns, here or "
        "on s3://, gs:// or hf://. Names that begin with . or _ and folders of engramctl are "
        "read only when spelled out.",
        show_default=False,
    ),
]
HeldOut = Annotated[
    list[str] | None,
    typer.Option(
        metavar="PATH",
        help="Text to measure the curves on, not counted; repeat for more. Every tenth document "
        "of CORPUS is held out for them as well.",
    ),
]
IfNeeded = Annotated[
    str | None,
    typer.Option(
        "--if-needed",
        metavar="[=digest]",
        help="Do nothing when the output is up to date: same options, and inputs of the same "
        "size, time and inode, or with =digest of the same contents. Else make it again.",
    ),
]
_SIZES = ("shard_bytes", "size", "page_bytes", "align", "dictionary_budget")
_LISTS = ("orders", "layers")

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


def begin_making(ctx: typer.Context, sink: Output, maker: "Maker") -> "Making":
    """Look whether the command's folder need be made; says so where --if-needed asks.

    Raises:
        ConfigError: an option that cannot be read, or a folder in the way.
        CorpusError: a corpus that is not there.
    """
    from engramctl.upkeep.making import begin

    def named(name: str) -> str:
        arguments = [one for one in ctx.command.params if one.param_type_name == "argument"]
        titles: dict[Any, Any] = {one.name: getattr(one, "metavar", None) for one in arguments}
        return titles.get(name) or f"--{name.replace('_', '-')}"

    making = begin({name: _read(name, value) for name, value in ctx.params.items()}, maker, named)
    if making.up_to_date:
        sink.note(f"{making.out} is up to date: same options, same inputs")
        if sink.format == "json":  # there is no table to draw
            sink.result(making.document())
    elif making.reason is not None:
        verb = "would be" if making.dry_run else "is"
        sink.note(f"{making.out} {verb} made again: {making.reason}")
    return making


def _read(name: str, value: Any) -> Any:
    """Return an option as a number where it may be written in several ways."""
    if isinstance(value, str) and name in _SIZES:
        return parse_bytes(value, f"--{name.replace('_', '-')}")
    if isinstance(value, str) and name in _LISTS:
        return parse_numbers(value, f"--{name}")
    return value
