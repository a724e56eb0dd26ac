"""Text in lines of a width, broken between words; a number stays whole, and with its unit."""

import re
import textwrap

FOLD = 20  # where columns are many, a longer word of a text is folded
_NUMBER = r"[+\-~<>]?\d[\d.,]*(?:e[+-]?\d+)?"
_UNIT = r"(?:%|[^\W\d_][\w/]{0,11})[,;:.)]?"
_WORD = re.compile(rf"{_NUMBER} {_UNIT}(?!\S)|\S+")
_FACT = re.compile(r" {2}\S+(?: \S+)*? {2,}| {4,}")
_MEASURED = re.compile(rf"-|{_NUMBER}(?: ?{_UNIT})?")


def measured(text: str) -> bool:
    """Tell whether a text is a number, one with a unit, or the sign for none.

    Example:
        >>> [measured(text) for text in ("12.5", "4.21 µs", "-", "below resolution")]
        [True, True, True, False]
    """
    return _MEASURED.fullmatch(text) is not None


def least_width(text: str) -> int:
    """Return what a text takes when it is broken wherever it may be."""
    return max(map(_least, _WORD.findall(text)), default=0)


def length(text: str) -> int:
    """Return how many columns of a terminal a text takes."""
    from rich.cells import cell_len

    return cell_len(text)


def wrapped(text: str, width: int) -> list[str]:
    """Return the lines of a text; a word is folded only where it is wider than a line.

    Example:
        >>> wrapped("reads 4.21 µs later", 10)
        ['reads', '4.21 µs', 'later']
    """
    if length(text) <= width:
        return [text]
    lines, begin, end = [], 0, 0
    for word in _WORD.finditer(text):
        if length(text[begin : word.end()]) > width:
            lines.append(text[begin:end])
            *folded, last = _folded(word.group(), width)
            lines += folded
            begin = word.end() - len(last)
        end = word.end()
    return [line for line in (*lines, text[begin:end]) if line]


def broken(line: str, width: int) -> list[str]:
    """Return a line for people as lines of a width, the next ones under its text.

    A command is left whole, so that it can be pasted, and so is a word that no line holds.

    Args:
        line: a note, or one line of an error.
        width: columns; 0: as many as it takes.

    Example:
        >>> broken("  known  gpu, host, ssd", 19)
        ['  known  gpu, host,', '         ssd']
    """
    if not width or length(line) <= width or "engramctl " in line:
        return [line]
    fact = _FACT.match(line)
    indent = " " * (fact.end() if fact else 2)
    return textwrap.wrap(
        line,
        width,
        subsequent_indent=indent,
        break_long_words=False,
        break_on_hyphens=False,
        drop_whitespace=True,
    )


def filled(texts: list[str], width: int) -> list[str]:
    """Return lines of texts with commas between them; each stays whole where a line holds it.

    Example:
        >>> filled(["layer 1", "tier ssd", "rows 7"], 18)
        ['layer 1, tier ssd,', 'rows 7']
    """
    lines = [""]
    for place, text in enumerate(texts):
        item = text if place == len(texts) - 1 else text + ","
        joined = f"{lines[-1]} {item}" if lines[-1] else item
        if length(joined) <= width:
            lines[-1] = joined
        else:
            lines += wrapped(item, width)
    return [line for line in lines if line]


def _least(word: str) -> int:
    return length(word) if measured(word) else min(FOLD, length(word))


def _folded(word: str, width: int) -> list[str]:
    """Cut a word into pieces that fit; a path behind a slash, where that is not far before."""
    pieces = []
    while length(word) > width:
        stop = 1
        while length(word[: stop + 1]) <= width:
            stop += 1
        slash = word.rfind("/", stop // 2, stop) + 1
        pieces.append(word[: slash or stop])
        word = word[slash or stop :]
    return [*pieces, word]
