"""Reading a model's config.json: typed keys, aliases, and no key of the family left unread."""

from collections.abc import Iterable, Mapping
from typing import Any

from engramctl.errors import ConfigError


class Keys:
    """A family's keys of one config; every error names the key and the family."""

    def __init__(self, family: str, config: Mapping[str, Any]) -> None:
        """Keep the config; a `text_config` inside it is looked into first."""
        self.family = family
        inner = config.get("text_config")
        self._maps = [inner, config] if isinstance(inner, Mapping) else [config]
        self._read: set[str] = set()

    def has(self, name: str) -> bool:
        """Tell whether the key is there and not null."""
        self._read.add(name)
        return any(found.get(name) is not None for found in self._maps)

    def value(self, *names: str) -> Any:
        """Return the value under one of several names for the same thing.

        Raises:
            ConfigError: none is there, or two differ.
        """
        found = {
            name: next(one[name] for one in self._maps if one.get(name) is not None)
            for name in names
            if self.has(name)
        }
        if not found:
            raise ConfigError(f"a {self.family} config lacks the key {' or '.join(names)}")
        first, *others = found.values()
        if any(other != first for other in others):
            raise ConfigError(
                f"the {self.family} config contradicts itself",
                facts={name: found[name] for name in found},
            )
        return first

    def integer(
        self, *names: str, default: int | None = None, minimum: int = 0, maximum: int = 2**63 - 1
    ) -> int:
        """Return an integer from `minimum` to `maximum`."""
        if default is not None and not any(self.has(name) for name in names):
            return default
        return _integer(names[0], self.value(*names), minimum, maximum)

    def number(self, *names: str) -> float:
        """Return a positive number; integers stay integers, as the hash's own code has them."""
        value = self.value(*names)
        if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 2**40:
            raise ConfigError(
                f"config key {names[0]} must be a positive number, not {ascii(value)[:80]}"
            )
        return value

    def integers(self, name: str, minimum: int = 0, *, empty: bool = False) -> tuple[int, ...]:
        """Return a list of integers; one integer is a list of one, none is wrong unless `empty`."""
        value = self.value(name)
        values = value if isinstance(value, list | tuple) else [value]
        if not values and not empty:
            raise ConfigError(f"config key {name} must list at least one integer")
        return tuple(_integer(name, one, minimum) for one in values)

    def flag(self, name: str) -> bool:
        """Return a truth value, false when absent."""
        value = self.value(name) if self.has(name) else False
        if not isinstance(value, bool):
            raise ConfigError(f"config key {name} must be true or false, not {ascii(value)[:80]}")
        return value

    def ignore(self, *names: str) -> None:
        """Say that these keys are known and change no address."""
        self._read.update(names)

    def refuse_others(self, prefixes: Iterable[str]) -> None:
        """Raise when a key of the family was not read: it may change every address.

        Raises:
            ConfigError: names the first such key.
        """
        start = tuple(prefixes)
        unknown = sorted({k for m in self._maps for k in m if k.startswith(start)} - self._read)
        if unknown:
            raise ConfigError(
                f"unknown key '{unknown[0]}' in a {self.family} config",
                hint="it may change the hash; this engramctl does not know how",
            )


def _integer(name: str, value: Any, minimum: int, maximum: int = 2**63 - 1) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not minimum <= value <= maximum:
        most = "" if maximum == 2**63 - 1 else f" to {maximum:,}"
        raise ConfigError(
            f"config key {name} must be an integer from {minimum}{most}, not {ascii(value)[:80]}"
        )
    return value
