"""Reading a JSON document key by key: every complaint names file, place, expected and found."""

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engramctl.errors import FormatError

INT_MAX = (1 << 63) - 1
_HEX = frozenset("0123456789abcdef")


class JsonChecker:
    """The primitives that check one value each; all raise FormatError."""

    def __init__(self, file: Path) -> None:
        """Remember the file for messages."""
        self.file = file

    def fail(self, place: str, expected: object, found: object) -> FormatError:
        """Return the error for a wrong value."""
        return FormatError(
            f"{self.file}: {place} is wrong",
            facts={"file": self.file, "expected": expected, "found": ascii(found)[:200]},
            hint="the manifest was edited or is not from this version; build or lay out again",
        )

    def keys(self, value: object, place: str, names: str) -> Mapping[str, Any]:
        """Return an object that has exactly these keys."""
        if not isinstance(value, dict):
            raise self.fail(place, "a JSON object", value)
        known = names.split()
        for name in value:
            if name not in known:
                raise self.fail(place, f"no other keys than {', '.join(known)}", name)
        for name in known:
            if name not in value:
                raise self.fail(place, f"the key {name}", "no such key")
        return value

    def exactly(self, value: object, place: str, wanted: object) -> None:
        """Refuse another value, or an equal one of another type."""
        if type(value) is not type(wanted) or value != wanted:
            raise self.fail(place, wanted, value)

    def integer(self, value: object, place: str, low: int = 0, high: int = INT_MAX) -> int:
        """Return an integer of a range."""
        if type(value) is not int or not low <= value <= high:
            raise self.fail(place, f"an integer from {low:,} to {high:,}", value)
        return value

    def text(self, value: object, place: str, known: tuple[str, ...] = ()) -> str:
        """Return a string, one of `known` when there are any."""
        if not isinstance(value, str) or (known and value not in known):
            raise self.fail(place, " or ".join(known) or "a string", value)
        return value

    def array(self, value: object, place: str) -> list[Any]:
        """Return an array."""
        if not isinstance(value, list):
            raise self.fail(place, "a JSON array", value)
        return value

    def digest(self, value: object, place: str) -> str:
        """Return an xxh3-128 digest."""
        if not isinstance(value, str) or len(value) != 32 or not _HEX.issuperset(value):
            raise self.fail(place, "32 lower-case hex digits", value)
        return value

    def digests(self, value: object, place: str, count: int) -> tuple[str, ...]:
        """Return an array of so many digests."""
        found = self.array(value, place)
        if len(found) != count:
            raise self.fail(place, f"{count:,} digests", f"{len(found):,}")
        with contextlib.suppress(TypeError, ValueError):  # all at once: there may be hundreds
            text = "".join(found)
            if {32}.issuperset(map(len, found)) and bytes.fromhex(text).hex() == text:
                return tuple(found)
        return tuple(self.digest(one, place) for one in found)
