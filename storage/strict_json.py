"""JSON without its ambiguities: no key twice, no NaN, no infinity."""

import json
from typing import Any, NoReturn


def load_strict(text: bytes | str) -> Any:
    """Return what a JSON text says.

    Raises:
        ValueError: it is not JSON, has a key twice, or names a number JSON does not have.
        RecursionError: it is too deep.

    Example:
        >>> load_strict('{"a": [1, 2]}')
        {'a': [1, 2]}
    """
    return json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a key is there twice")
    return made


def _no_constant(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number")
