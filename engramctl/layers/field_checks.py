"""Checks of single fields of a shape; needs no torch."""

from typing import get_args

from engramctl.errors import ConfigError, unknown


def one_of(name: str, value: str, choices: object) -> None:
    """Refuse a value that is none of a Literal's."""
    allowed = get_args(choices)
    if value not in allowed:
        raise unknown(name, value, allowed)


def at_least(owner: object, minimum: int, *names: str) -> None:
    """Refuse fields that are no integers of at least `minimum`."""
    for name in names:
        value = getattr(owner, name)
        if not isinstance(value, int) or value < minimum:
            raise ConfigError(
                f"{name} is out of range",
                facts={"expected": f"an integer of at least {minimum}", "found": value},
            )


def positive(owner: object, *names: str) -> None:
    """Refuse fields that are not above zero."""
    for name in names:
        value = getattr(owner, name)
        if not value > 0:
            raise ConfigError(f"{name} must be above zero", facts={"found": value})
