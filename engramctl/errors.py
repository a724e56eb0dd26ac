"""The exception tree; it imports nothing.

    EngramError              1   the work failed
      ConfigError            2   an option, a config file or a scheme is wrong
      CorpusError            1   the input data is wrong
      FormatError            1   one of our files, or a checkpoint, is wrong
      StorageError           1   reading, writing or space
      CheckFailed            3   a check said no (verify, compare)
      TierUnavailable        4   every tier asked for by name is missing here

The library raises; only `engramctl.cli` turns an error into text and an exit code. A message names
the thing; `facts` hold expected against found; `hint` ends with the command to run next.
"""

from collections.abc import Iterable, Mapping
from typing import Any


def printable(text: str) -> str:
    r"""Return text as a terminal may show it: control and format characters are escaped.

    Names and values of files may hold sequences that move the cursor, hide text or turn it around.

    Example:
        >>> printable("café \x1b[2J \u202e")
        'café \\x1b[2J \\u202e'
    """
    if text.isprintable():
        return text
    return "".join(
        one if one.isprintable() else one.encode("unicode_escape").decode() for one in text
    )


def _indented(text: str, width: int) -> str:
    return ("\n" + " " * width).join(printable(line) for line in text.split("\n"))


def error_document(
    message: str,
    exit_code: int,
    facts: Mapping[str, object] | None = None,
    hint: str | None = None,
) -> dict[str, Any]:
    """Return what `--json` prints in place of a result.

    Example:
        >>> error_document("interrupted", 130)
        {'error': {'message': 'interrupted', 'facts': {}, 'hint': None, 'exit_code': 130}}
    """
    parts = {"message": message, "facts": dict(facts or {}), "hint": hint, "exit_code": exit_code}
    return {"error": parts}


class EngramError(Exception):
    """A failure with facts and a hint; `exit_code` is what the command line returns for it."""

    exit_code = 1

    def __init__(
        self, message: str, *, facts: Mapping[str, object] | None = None, hint: str | None = None
    ) -> None:
        """Keep the parts apart, so that a caller can show them in its own way."""
        super().__init__(message)
        self.message = message
        self.facts = dict(facts or {})
        self.hint = hint

    def render(self) -> str:
        """Return the text the command line prints: message, aligned facts, hint.

        Whatever a file put into them, only our own lines begin at the margin and none holds a
        control character.
        """
        facts = {printable(name): value for name, value in self.facts.items()}
        width = max((len(name) for name in facts), default=0)
        lines = [f"Error: {_indented(self.message, 2)}"]
        for name, value in facts.items():
            lines.append(f"  {name:<{width}}  {_indented(str(value), width + 4)}")
        if self.hint:
            lines.append(f"Hint: {_indented(self.hint, 2)}")
        return "\n".join(lines)

    def document(self) -> dict[str, Any]:
        """Return the same parts as `--json` prints them."""
        return error_document(self.message, self.exit_code, self.facts, self.hint)


class ConfigError(EngramError):
    """An option, a config file or a scheme is wrong."""

    exit_code = 2


def near(word: str, known: Iterable[str]) -> str:
    """Return which of the known words a mistyped one may have meant, as a question; "" for none.

    Example:
        >>> near("row", ["rows", "env"]), near("zzz", ["rows", "env"])
        ("did you mean 'rows'?", '')
    """
    from difflib import get_close_matches  # only errors need it

    plain = {name.lower().lstrip("-"): name for name in known}
    word = word.lower().lstrip("-")
    close = get_close_matches(word, plain, n=2)
    begun = [one for one in plain if len(word) > 2 and one.startswith(word)]
    found = [plain[one] for one in close or begun[:2]]
    return f"did you mean {' or '.join(map(repr, found))}?" if found else ""


def unknown(what: str, value: str, known: Iterable[str], *, hint: str = "") -> ConfigError:
    """Return the error of a word that is none of a list, which names the one that is near.

    Args:
        what: the thing it should name, as in `unknown tier 'sdd'`.
        value: the word.
        known: all that would do, in the order to show.
        hint: what else to do.

    Example:
        >>> print(unknown("tier", "sdd", ["gpu", "host", "ssd"]).render())
        Error: unknown tier 'sdd'
          known  gpu, host, ssd
        Hint: did you mean 'ssd'?
    """
    names = list(known)
    hints = [one for one in (near(value, names), hint) if one]
    facts = {"known": ", ".join(names)}
    return ConfigError(f"unknown {what} '{value}'", facts=facts, hint="\n".join(hints) or None)


class CorpusError(EngramError):
    """The input data cannot be used: missing column, wrong type, ids out of range."""


class FormatError(EngramError):
    """One of our files, or a checkpoint, does not say what it must."""


class StorageError(EngramError):
    """A read, a write or the space for it failed."""


class CheckFailed(EngramError):
    """A check that was asked for said no."""

    exit_code = 3


class TierUnavailable(EngramError):
    """Every tier asked for by name is missing on this machine."""

    exit_code = 4
