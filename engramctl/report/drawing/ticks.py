"""Where an axis has its ticks, and what they say: few, round, in the unit's own words."""

import math

from engramctl.shown.figures import duration

MOST = 5


def limits(values: list[float], *, log: bool) -> tuple[float, float]:
    """Return an axis that holds all values with some room; they are above 0 where it is `log`.

    Example:
        >>> limits([0.0, 10.0], log=False)
        (-0.5, 10.5)
    """
    least, most = min(values), max(values)
    if log:
        room = max((math.log(most) - math.log(least)) * 0.05, 0.05)
        return least * math.exp(-room), most * math.exp(room)
    room = (most - least) * 0.05 or 1.0
    return least - room, most + room


def ticks(low: float, high: float, *, log: bool) -> list[float]:
    """Return at most MOST round numbers within an axis.

    Example:
        >>> ticks(8, 1200, log=True), ticks(0, 100, log=False)
        ([10.0, 100.0, 1000.0], [0.0, 25.0, 50.0, 75.0, 100.0])
    """
    if log:
        first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
        for steps in ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0)):
            found = [
                step * 10.0**power
                for power in range(first, last + 1)
                for step in steps
                if low <= step * 10.0**power <= high
            ]
            if len(found) >= 3:
                return found[:: -(-len(found) // MOST)]
    for size in sorted(m * 10.0**p for p in range(-12, 16) for m in (1.0, 2.0, 2.5, 5.0)):
        if (high - low) / size < MOST:
            start = math.ceil(low / size - 1e-9)
            stop = math.floor(high / size + 1e-9)
            return [round(step * size, 12) for step in range(start, stop + 1)]
    return [low, high]


def words(value: float, unit: str) -> str:
    """Return what stands at a tick.

    Example:
        >>> words(2_000, "ns"), words(2_500_000, "rows/s"), words(-5.0, "%")
        ('2 µs', '2.5M', '-5 %')
    """
    if unit == "ns":
        return duration(value) or ""
    if unit == "%":
        return f"{value:g} %"
    for size, letter in ((1e9, "G"), (1e6, "M"), (1e3, "k")):
        if abs(value) >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
