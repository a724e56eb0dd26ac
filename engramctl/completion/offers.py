"""Which words may stand where a command line ends."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engramctl.completion.values import values_of

_TOP = {
    "--help": "Show this message and exit.",
    "--version": "Which version this is.",
    "--show-completion": "The script that completes words at Tab, for bash, zsh or fish.",
}


@dataclass(frozen=True)
class Program:
    """The commands, as much of them as is asked for.

    Attributes:
        commands: every command's name, and what it does.
        command: loads one by its name: what has `params`, each an option or an argument.
    """

    commands: Mapping[str, str]
    command: Callable[[str], Any]


def offers(program: Program, words: Sequence[str], beginning: str) -> dict[str, str]:
    """Return the words that begin so and may come next, each with what it means.

    None means that a shell's own are to be had: files and folders.

    Args:
        program: what the words are for.
        words: those before, without the program's name.
        beginning: what is there of the word at the cursor; may be "".
    """
    name = next((word for word in words if not word.startswith("-")), None)
    if name is None:
        found = _TOP if beginning.startswith("-") else dict(program.commands)
        if list(words) == ["--show-completion"]:
            found = dict.fromkeys(("bash", "zsh", "fish"), "")
    elif name not in program.commands:
        found = {}
    else:
        after = list(words[list(words).index(name) + 1 :])
        found = _of_command(name, program.command(name).params, after, beginning)
    return {word: text for word, text in found.items() if word.startswith(beginning)}


def _of_command(
    name: str, params: Sequence[Any], words: list[str], beginning: str
) -> dict[str, str]:
    options = {word: one for one in params for word in one.opts if word.startswith("-")}
    if "--" in words:
        return {}
    if beginning.startswith("--") and "=" in beginning:  # bash has split it into three words
        option, _, value = beginning.partition("=")
        values = values_of(name, option, value) if option in options else ()
        return dict.fromkeys([f"{option}={value}" for value in values], "")
    last = options.get(words[-1]) if words else None
    if last is not None and not (last.is_flag or last.count):
        return dict.fromkeys(values_of(name, max(last.opts, key=len), beginning), "")
    if beginning.startswith("-"):
        given = {options[word].name for word in words if word in options}
        open_ones = [one for one in params if one.multiple or one.name not in given]
        return {
            word: one.help or "" for one in open_ones for word in one.opts if word in options
        } | {"--help": _TOP["--help"]}
    argument = next((one for one in params if one.param_type_name == "argument"), None)
    if argument is None or not beginning:
        return {}
    return dict.fromkeys(values_of(name, argument.metavar or ""), "")
