"""bash, zsh and fish: the script that asks what fits, and answers as each reads them."""

import re
import shlex
from collections.abc import Mapping, Sequence

from engramctl.completion.offers import Program, offers
from engramctl.errors import ConfigError, unknown

_BASH = r"""
_engramctl_completion() {
    local IFS=$'\n'
    COMPREPLY=($(COMP_WORDS="${COMP_WORDS[*]}" COMP_CWORD=$COMP_CWORD \
        _ENGRAMCTL_COMPLETE=complete_bash "$1" 2>/dev/null))
}
complete -o default -F _engramctl_completion engramctl
"""
_ZSH = r"""
#compdef engramctl
_engramctl() {
    local -a found
    found=("${(@f)$(COMP_WORDS="${(F)words}" COMP_CWORD=$((CURRENT - 1)) \
        _ENGRAMCTL_COMPLETE=complete_zsh engramctl 2>/dev/null)}")
    if [[ -n $found[1] ]]; then _describe -V engramctl found; else _files; fi
}
compdef _engramctl engramctl
"""
_FISH = r"""
function __engramctl_offers
    set -lx COMP_WORDS (commandline -cp)
    set -l found (_ENGRAMCTL_COMPLETE=complete_fish engramctl 2>/dev/null)
    if test (count $found) -gt 0
        printf '%s\n' $found
    else
        __fish_complete_path (commandline -ct)
    end
end
complete --command engramctl --no-files --arguments '(__engramctl_offers)'
"""
SCRIPTS = {"bash": _BASH, "zsh": _ZSH, "fish": _FISH}


def script(words: Sequence[str]) -> str:
    """Return what a shell is to read so that it completes the words of engramctl.

    Args:
        words: after `--show-completion`: the shell.

    Raises:
        ConfigError: not one shell, or an unknown one.
    """
    if len(words) != 1:
        raise ConfigError(
            "--show-completion takes the name of one shell",
            facts={"known": ", ".join(SCRIPTS)},
            hint="run: engramctl --show-completion bash",
        )
    if words[0] not in SCRIPTS:
        raise unknown("shell", words[0], SCRIPTS)
    return SCRIPTS[words[0]].strip()


def answer(instruction: str, environment: Mapping[str, str], program: Program) -> str:
    """Return what fits where the cursor is, one word a line, as the shell reads it.

    Args:
        instruction: `complete_bash`, `complete_zsh` or `complete_fish`.
        environment: COMP_WORDS is the line, word by word or as typed, up to the cursor or beyond;
            COMP_CWORD the number of the word at the cursor (absent: the last).
        program: what the words are for.

    Raises:
        ConfigError: another instruction.
    """
    shell = instruction.removeprefix("complete_")
    if shell == instruction or shell not in SCRIPTS:
        raise unknown("completion", instruction, [f"complete_{one}" for one in SCRIPTS])
    before, beginning, parted = _typed(environment)
    found = offers(program, before, beginning)
    if shell == "bash":  # it replaces what is behind the last colon
        kept = beginning.rfind(":") + 1 if parted else 0
        return "\n".join(word[kept:] for word in found)
    if shell == "fish":
        return "\n".join(f"{word}\t{_short(text)}" for word, text in found.items())
    lines = {word.replace(":", r"\:"): _short(text) for word, text in found.items()}
    return "\n".join(f"{word}:{text}" if text else word for word, text in lines.items())


def _typed(environment: Mapping[str, str]) -> tuple[list[str], str, bool]:
    """Return the whole words after the program's name, and the beginning of the one to complete.

    The third tells whether bash had parted that at a colon, as it does with `--tier host:1GiB`.
    """
    line = environment.get("COMP_WORDS", "")
    words = line.split("\n") if "\n" in line else _words(line)
    number = environment.get("COMP_CWORD", "")
    if number.isdecimal() and len(number) < 6:
        words = (words + [""] * int(number))[: int(number) + 1]
    before, beginning = words[1:-1], words[-1] if len(words) > 1 else ""
    parted = beginning == ":" or before[-1:] == [":"]
    while before and (before[-1] == ":" or beginning.startswith(":")):
        beginning = before.pop() + beginning
    if beginning == "=":  # bash parts `--tier=ssd` at the sign
        return before, "", parted
    if len(before) > 1 and before[-1] == "=":
        before.pop()
    return before, beginning, parted


def _words(line: str) -> list[str]:
    try:
        words = shlex.split(line)
    except ValueError:  # an open quote
        words = line.split()
    return words + [""] * line.endswith(" ") or [""]


def _short(text: str) -> str:
    """Return the first sentence of a help text."""
    return re.split(r"[.;:](?:\s|$)", " ".join(text.split()))[0]
