"""Figures of a result as people read them: times, percentages, overheads."""

from engramctl.shown.rows import below_resolution

BELOW = "below resolution"
_SCALES = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"))


def duration(time_ns: float | None) -> str | None:
    """Show a time at three digits.

    Example:
        >>> duration(4_210), duration(1_234_000_000), duration(730), duration(999_900)
        ('4.21 µs', '1.23 s', '730 ns', '1 ms')
    """
    if time_ns is None:
        return None
    for size, unit in _SCALES:
        if time_ns >= 0.9995 * size:  # what would be rounded to 1,000 of the smaller unit
            shown = time_ns / size
            return f"{shown:,.0f} {unit}" if shown >= 999.5 else f"{shown:.3g} {unit}"
    return f"{time_ns:.0f} ns"


def percent(value: float | None) -> str | None:
    """Show a percentage at two digits.

    Example:
        >>> percent(0.8421), percent(12.3), percent(154.2)
        ('0.84 %', '12 %', '154 %')
    """
    if value is None:
        return None
    return f"{value:.0f} %" if value >= 10 else f"{value:.2g} %"


def overhead(more_percent: float | None, resolution: float | None) -> str | None:
    """Show an overhead, unless two copies of one arm may differ by as much.

    Example:
        >>> overhead(4.2, 1.5), overhead(-1.2, 1.5)
        ('+4.2 %', 'below resolution')
    """
    if more_percent is None:
        return None
    return BELOW if below_resolution(more_percent, resolution) else f"{more_percent:+.1f} %"
