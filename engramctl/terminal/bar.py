"""A bar that shows how far work is: whole numbers, sizes, and speeds that a person reads."""

from collections.abc import MutableMapping
from typing import Any

from engramctl.terminal.quantities import amount_words, speed_words
from engramctl.terminal.words import length

_KNOWN = "{desc}: {percentage:3.0f}% |{bar}| {amount} [{elapsed}<{remaining}{speed}]"
_BAR = 3  # columns of the shortest bar
_OPEN = "{desc}: {amount} [{elapsed}{speed}]"  # of work whose end is not, or was not, known


_OTHERS = len(": 100% ||") + _BAR + len("  [00:00<00:00]")


def _fit(facts: MutableMapping[str, Any]) -> None:
    """Leave out the speed, then the end of the title, rather than cut a number at the edge."""
    room = facts["ncols"] - _OTHERS - length(facts["amount"])
    if length(facts["prefix"] + facts["speed"]) > room:
        facts["speed"] = ""
    if length(facts["prefix"]) > room > len(".."):
        facts["prefix"] = facts["prefix"][: room - len("..")] + ".."


def progress_bar(title: str, total: int | None, unit: str, **options: Any) -> Any:
    """Return a `tqdm` bar.

    Args:
        title: stands before it.
        total: how much there is to do, about; None: not known.
        unit: what is counted, in the plural; 'B' for bytes.
        options: of `tqdm`.
    """
    from tqdm import tqdm

    class Bar(tqdm):  # type: ignore[type-arg]
        """Says amount and speed in our words."""

        @property
        def format_dict(self) -> Any:
            """What the formats may name."""
            facts = super().format_dict
            elapsed = facts["elapsed"]
            rate = facts["rate"] or (self.n - self.initial) / elapsed if elapsed else None
            speed = speed_words(rate, unit)
            whole = self.total if total is not None and self.n <= total else None
            facts["bar_format"] = _OPEN if whole is None else _KNOWN
            facts["amount"] = amount_words(self.n, unit, whole)
            facts["speed"] = f", {speed}" if speed else ""
            if facts["ncols"]:
                _fit(facts)
            return facts

    return Bar(total=total, desc=title, unit=unit, **options)
