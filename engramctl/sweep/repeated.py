"""Options that were repeated: the first value is the run's, all of them are its sweep."""

from collections.abc import Sequence
from typing import Any

from engramctl.errors import ConfigError


def one_value(option: str, text: str) -> str:
    """Return a value of an option that is swept by repeating it.

    Raises:
        ConfigError: several with commas between: a comma joins the parts of one value, no values.
    """
    if "," in text:
        words = [word.strip() for word in text.split(",") if word.strip()]
        raise ConfigError(
            f"{option} '{text}': a comma joins parts of one mixture, not values to sweep",
            facts={"expected": "one value", "found": f"{len(words)}: {text}"},
            hint=f"to measure each, repeat the option: {' '.join(f'{option} {w}' for w in words)}",
        )
    return text


def repeated(**given: Sequence[Any] | None) -> dict[str, Any]:
    """Return the words of `BenchOptions` for options of several values; one not given is left out.

    Args:
        given: the values of each axis, by its name; a value given twice counts once.

    Example:
        >>> repeated(batch=[1, 8, 1], preset=["tiny"], context=None)
        {'batch': 1, 'preset': 'tiny', 'sweep': {'batch': (1, 8)}}
    """
    values = {name: tuple(dict.fromkeys(found)) for name, found in given.items() if found}
    several = {name: found for name, found in values.items() if len(found) > 1}
    first = {name: found[0] for name, found in values.items()}
    return first | ({"sweep": several} if several else {})
