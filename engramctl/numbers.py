"""Numbers and sizes as people write them: `1M`, `250k`, `1e6`, `1_000_000`, `2GiB`."""

import re

from engramctl.errors import ConfigError

MOST_CHARACTERS = 60  # more are a mistake, and would take long to compute with
_FORM = re.compile(
    r"([+-]?)(\d{1,3}(?:,\d{3})+|\d[\d_]*)(?:\.(\d+))?(?:e\+?(\d{1,2}))?(?: ?([a-z]+))?",
    re.ASCII | re.IGNORECASE,
)
_COUNTS = {"": 1, "k": 1000, "m": 1000**2, "g": 1000**3, "b": 1000**3, "t": 1000**4}
_SIZES = {"": 1, "b": 1}
_SIZES |= {f"{p}b": 1000**k for k, p in enumerate("kmgt", 1)}
_SIZES |= {f"{p}ib": 1024**k for k, p in enumerate("kmgt", 1)}
_SIZES |= {p: 1024**k for k, p in enumerate("kmgt", 1)}


def whole_number(value: object, option: str, least: int | None = None) -> int:
    """Read a whole number, written out or with k, M, G (or B) and T for thousands and more.

    Args:
        value: a text of the command line, or what a config file holds.
        option: the option it is given to, for the error.
        least: the smallest that makes sense (None: any).

    Raises:
        ConfigError: not a whole number, or less than `least`.

    Example:
        >>> [whole_number(text, "--slots") for text in ("2.5M", "1e6", "250k", "1_000", "20,000")]
        [2500000, 1000000, 250000, 1000, 20000]
    """
    numerator, denominator = (0, 0) if isinstance(value, bool) else _exact(str(value), _COUNTS)
    if denominator == 0 or numerator % denominator:
        raise ConfigError(
            f"{option} '{value}' is not a whole number",
            hint="write it as 1000000, 1_000_000, 1M or 1e6",
        )
    number = numerator // denominator
    if least is not None and number < least:
        raise ConfigError(f"{option} {value} is too small", facts={"expected": f"{least} or more"})
    return number


def parse_bytes(text: str, option: str) -> int:
    """Read a size: `4096`, `64MiB`, `2GB`, `4G` (binary).

    Args:
        text: a number and a unit; parts of a byte are left out.
        option: the option it is given to, for the error.

    Raises:
        ConfigError: not a size, or not above zero.

    Example:
        >>> [parse_bytes(text, "--size") for text in ("1.5KiB", "2GB", "4G", "1e6")]
        [1536, 2000000000, 4294967296, 1000000]
    """
    numerator, denominator = _exact(text, _SIZES)
    size = numerator // denominator if denominator else 0
    if size <= 0:
        raise ConfigError(
            f"{option} '{text}' is not a size", hint="write a number and a unit: 4096, 64MiB, 2GB"
        )
    return size


def exact_size(num_bytes: int) -> str:
    """Write a size so that `parse_bytes` reads the same, in the largest binary unit that fits.

    Example:
        >>> exact_size(1 << 30), exact_size(1536), exact_size(1000)
        ('1GiB', '1536', '1000')
    """
    for power, prefix in ((4, "T"), (3, "G"), (2, "M"), (1, "K")):
        if num_bytes and num_bytes % 1024**power == 0:
            return f"{num_bytes // 1024**power}{prefix}iB"
    return str(num_bytes)


def parse_numbers(text: str | None, option: str) -> tuple[int, ...] | None:
    """Read `2,3,4`.

    Raises:
        ConfigError: not whole numbers with commas between.

    Example:
        >>> parse_numbers("2,3,4", "--orders")
        (2, 3, 4)
    """
    if text is None:
        return None
    try:
        return tuple(whole_number(word, option) for word in text.split(","))
    except ConfigError:
        raise ConfigError(
            f"{option} '{text}' is not a list of numbers", hint=f"write them as {option} 2,3,4"
        ) from None


def _exact(text: str, units: dict[str, int]) -> tuple[int, int]:
    """Return a number as numerator and denominator, exactly; the latter 0 where it is none."""
    text = text.strip()
    found = _FORM.fullmatch(text) if len(text) <= MOST_CHARACTERS else None
    unit = units.get((found[5] or "").lower()) if found else None
    if found is None or unit is None:
        return 0, 0
    whole, fraction = re.sub("[,_]", "", found[2]), found[3] or ""
    number = int(whole + fraction) * 10 ** int(found[4] or 0) * unit
    return -number if found[1] == "-" else number, 10 ** len(fraction)
