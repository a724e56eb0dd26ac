"""JSON of files we did not write: bounded before it takes memory, and read one way only.

A text of some megabytes can ask for gigabytes: what is parsed takes fifty times the text where it
is all brackets. So the size of a file, the number of its values, their depth and the digits of its
integers have limits, which docs/format.md lists.
"""

import json
import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from engramctl.errors import FormatError
from engramctl.storage.files.regular_file import regular_file

MAX_DOCUMENT_BYTES = 1 << 30  # a dictionary's n-gram list rests in its scheme
MAX_VALUES = 1 << 21  # a manifest of a petabyte has so many checksums
MAX_DEPTH = 64
MAX_DIGITS = 40  # of an integer: none of ours needs more than 64 bits
_READ_BYTES = 1 << 20


def read_limited(path: Path, most: int = MAX_DOCUMENT_BYTES) -> bytes:
    """Return the content of a regular file of at most so many bytes.

    Raises:
        FormatError: it is longer, or no file: a pipe would never end.
        StorageError: it cannot be read.
    """
    pieces, size = [], 0
    with regular_file(path) as file:
        while piece := file.read(_READ_BYTES):
            size += len(piece)
            if size > most:
                raise FormatError(
                    f"{path} is too large to be read",
                    facts={
                        "file": path,
                        "expected": f"at most {most:,} bytes",
                        "found": f"{os.fstat(file.fileno()).st_size:,} bytes",
                    },
                )
            pieces.append(piece)
    return b"".join(pieces)


def load_json(text: bytes | str) -> Any:
    """Return what a JSON text says, NaN and infinities included.

    Raises:
        ValueError: it is not JSON, or has too many values, too deep or with too many digits.

    Example:
        >>> load_json(b'{"a": [1, Infinity]}')
        {'a': [1, inf]}
    """
    _check_number_of_values(text)
    return _checked(lambda: json.loads(text, parse_int=_integer))


def load_strict(text: bytes | str) -> Any:
    """Return what a JSON text says, when it has one reading.

    Raises:
        ValueError: as `load_json`; also a key that is there twice, or a number JSON does not have.

    Example:
        >>> load_strict('{"a": [1, 2]}')
        {'a': [1, 2]}
    """
    _check_number_of_values(text)
    return _checked(
        lambda: json.loads(
            text,
            object_pairs_hook=_once,
            parse_constant=_no_constant,
            parse_int=_integer,
            parse_float=_finite,
        )
    )


def _check_number_of_values(text: bytes | str) -> None:
    """Refuse too many: each but the first follows a comma or a bracket."""
    if isinstance(text, bytes):
        found = sum(text.count(mark) for mark in (b",", b"[", b"{"))
    else:
        found = sum(text.count(mark) for mark in ",[{")
    if found > MAX_VALUES:
        raise ValueError(f"it has {found:,} values or so, and at most {MAX_VALUES:,} are read")


def _checked(parse: Any) -> Any:
    try:
        document = parse()
    except RecursionError as error:
        raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels") from error
    level: list[Any] = [document]
    for _ in range(MAX_DEPTH):
        level = list(_inside(level))
        if not level:
            return document
    raise ValueError(f"it is nested deeper than {MAX_DEPTH} levels")


def _inside(level: list[Any]) -> Iterator[Any]:
    """Give the arrays and objects that are directly in some values."""
    for value in level:
        if isinstance(value, dict):
            yield from (one for one in value.values() if isinstance(one, list | dict))
        elif isinstance(value, list):
            yield from (one for one in value if isinstance(one, list | dict))


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key is there twice")
    return made


def _integer(digits: str) -> int:
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"an integer of {len(digits):,} digits, and at most {MAX_DIGITS} are read")
    return int(digits)


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"{digits[:40]} is too large a number")
    return number


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")
