"""The words of a command line: one value an option, and whether the answer is to be JSON."""

import contextlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import typer
from typer.core import TyperCommand

from engramctl.config import several_values
from engramctl.errors import near

_UsageError: Any = typer.BadParameter.__mro__[1]  # of click's own, which typer does not name

_RIVALS = (("force", "if_needed"), ("slots", "size"))


@dataclass
class Asked:
    """How a command line is to be answered, and whether it was.

    Attributes:
        json: with one JSON document.
        answered: something went to standard output while `json` was asked for.
    """

    json: bool = False
    answered: bool = False


def asks_for_json(words: Sequence[str]) -> bool:
    """Tell from the words alone, as far as one can without knowing the command's options.

    Example:
        >>> asks_for_json(["bench", "-f", "json"]), asks_for_json(["rows", "--", "--json"])
        (True, False)
    """
    options = list(words[: words.index("--")] if "--" in words else words)
    return any(
        word in ("--json", "--format=json", "-fjson")
        or (word in ("-f", "--format") and value == "json")
        for word, value in pairwise([*options, ""])
    )


def takes_list(parameter: Any) -> bool:
    """Whether an option may be repeated, or an argument stands for several words."""
    return bool(parameter.nargs == -1 or getattr(parameter, "multiple", False))


class WatchedCommand(TyperCommand):
    """A command that refuses two values where it takes one, and knows when it has answered.

    The context's `obj` is the `Asked` of this command line.
    """

    def make_parser(self, ctx: Any) -> Any:
        """Return a parser that keeps every value of an option until they are counted."""
        parser: Any = super().make_parser(ctx)
        single = {
            one.name: one
            for one in self.get_params(ctx)
            if one.param_type_name == "option" and not (takes_list(one) or _is_flag(one))
        }
        for name, one in single.items():
            parser.add_option(obj=one, opts=one.opts, dest=name, action="append", nargs=one.nargs)
        parse = parser.parse_args
        names = [word for one in self.get_params(ctx) for word in one.opts]

        def parse_args(args: list[str]) -> Any:
            _check_dashes(ctx, args, names)
            try:
                values, rest, order = parse(args)
            except _UsageError as error:
                if hasattr(error, "possibilities"):  # an option that there is not
                    _no_such_option(ctx, error.option_name, names)
                raise
            for name in single.keys() & values.keys():
                if len(values[name]) > 1:
                    raise several_values(max(single[name].opts, key=len), values[name])
                values[name] = values[name][0]
            return values, rest, order

        parser.parse_args = parse_args
        return parser

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Parse the words; from here on it is known whether they, or the config, ask for JSON."""
        rest = super().parse_args(ctx, _with_values(args))
        _settle_rivals(ctx)
        if isinstance(ctx.obj, Asked):
            ctx.obj.json = bool(ctx.params.get("json")) or ctx.params.get("format") == "json"
        return rest

    def invoke(self, ctx: Any) -> Any:
        """Run the command, and note whether it printed anything when JSON was asked for."""
        if not (isinstance(ctx.obj, Asked) and ctx.obj.json):
            return super().invoke(ctx)
        watched: Any = _WatchedStream(sys.stdout, ctx.obj)
        with contextlib.redirect_stdout(watched):
            return super().invoke(ctx)


def _settle_rivals(ctx: Any) -> None:
    """Let a given option beat the one of the config file that cannot stand beside it."""
    for one, other in _RIVALS:
        for given, filed in ((one, other), (other, one)):
            if source_of(ctx, given) == "COMMANDLINE" and source_of(ctx, filed) == "DEFAULT_MAP":
                ctx.params[filed] = None if filed != "force" else False


def source_of(ctx: Any, name: str) -> str | None:
    """Return where an option's value is from: COMMANDLINE, DEFAULT_MAP (the config) or DEFAULT."""
    source = ctx.get_parameter_source(name)
    return None if source is None else str(source.name)


def _check_dashes(ctx: Any, words: Sequence[str], names: Sequence[str]) -> None:
    """Refuse `-tier ssd`, which otherwise means `-t ier`."""
    for word in words[: words.index("--")] if "--" in words else words:
        if len(word) > 2 and f"-{word}" in names:
            _no_such_option(ctx, word, names)


def _no_such_option(ctx: Any, word: str, names: Sequence[str]) -> None:
    question = near(word, [name for name in names if name.startswith("--")])
    ctx.fail(f"No such option: {word}; {question}".removesuffix("; "))


def _with_values(words: list[str]) -> list[str]:
    """Return the words with the value that --if-needed has when it is given without one."""
    stop = words.index("--") if "--" in words else len(words)
    return [
        "--if-needed=time" if word == "--if-needed" and place < stop else word
        for place, word in enumerate(words)
    ]


def _is_flag(option: Any) -> bool:
    return bool(option.is_flag or option.count)


class _WatchedStream:
    """A stream that tells when it is written to."""

    def __init__(self, stream: Any, asked: Asked) -> None:
        self._stream = stream
        self._asked = asked

    def write(self, text: str) -> Any:
        self._asked.answered = True
        return self._stream.write(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
