"""Sizes, counts and speeds as a person reads them."""

_STEPS = ("KiB", "MiB", "GiB", "TiB", "PiB")
_BYTES = "B"


def size_words(num_bytes: float) -> str:
    """Return a size with three digits or four.

    Example:
        >>> [size_words(size) for size in (0, 1023, 1536, 2 << 30, 200_000_000)]
        ['0 bytes', '1,023 bytes', '1.50 KiB', '2.00 GiB', '191 MiB']
    """
    if num_bytes < 1024:
        return f"{num_bytes:,.0f} bytes"
    for unit in _STEPS:
        num_bytes /= 1024
        if num_bytes < 1023.5 or unit == _STEPS[-1]:
            break
    digits = 2 if num_bytes < 9.995 else 1 if num_bytes < 99.95 else 0
    return f"{num_bytes:,.{digits}f} {unit}"


def amount_words(done: float, unit: str, total: float | None = None) -> str:
    """Return how much is done: a size in bytes ('B'), of anything else a whole number.

    Example:
        >>> amount_words(0, "rows"), amount_words(1200.4, "windows", 3000)
        ('0 rows', '1,200 of 3,000 windows')
        >>> amount_words(3 << 20, "B", 1 << 30)
        '3.00 MiB of 1.00 GiB'
    """
    if unit == _BYTES:
        words = size_words(done)
        return words if total is None else f"{words} of {size_words(total)}"
    words = f"{int(done):,}"
    return f"{words} {unit}" if total is None else f"{words} of {int(total):,} {unit}"


def speed_words(per_second: float | None, unit: str) -> str:
    """Return a speed in whole numbers: a second, or a minute or an hour where it is slow.

    Example:
        >>> [speed_words(speed, "rounds") for speed in (None, 25_000.0, 3.0, 0.5, 0.001)]
        ['', '25,000 rounds/s', '3 rounds/s', '30 rounds/min', '4 rounds/h']
        >>> speed_words(12_345_678.9, "tokens"), speed_words(3 << 20, "B")
        ('12.3M tokens/s', '3.00 MiB/s')
    """
    if not per_second:
        return ""
    if unit == _BYTES:
        return f"{size_words(per_second)}/s"
    if per_second >= 1e6:
        return f"{per_second / 1e6:,.1f}M {unit}/s"
    for seconds, name in ((1, "s"), (60, "min"), (3600, "h")):
        if per_second * seconds >= 1 or name == "h":
            break
    return f"{per_second * seconds:,.0f} {unit}/{name}"
