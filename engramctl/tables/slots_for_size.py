"""The largest table that fits a size: how many slots each head may have."""

from collections.abc import Callable
from dataclasses import replace

from engramctl.errors import ConfigError
from engramctl.hashing import Scheme
from engramctl.storage.format.geometry import Layout

LEAST_SLOTS = 2


def most_slots(scheme: Scheme, layout: Layout, size_bytes: int, total: Callable[[int], int]) -> int:
    """Return the largest number of slots a head with which the whole folder fits a size.

    Heads get more than that, by the scheme's own rule (primes, each another one); what is compared
    is what they get. A table grows with its slots, so what is one too large ends the search.

    Args:
        scheme: with any number of slots.
        layout: how its rows lie.
        size_bytes: of all files together, at most.
        total: the bytes of all files for so many slots; called few times, since rows alone, which
            need no plan, leave few numbers.

    Raises:
        ConfigError: the smallest table is larger.
    """

    def rows_fit(slots: int, size: int) -> bool:
        return _row_bytes(replace(scheme, slots=(slots,) * len(scheme.slots)), layout) <= size

    least = total(LEAST_SLOTS)
    if least > size_bytes:
        raise ConfigError(
            f"no table of {scheme.name} is as small as {size_bytes:,} bytes",
            facts={"expected": f"{least:,} bytes or more", "found": f"{size_bytes:,}"},
            hint="give a larger --size, or fewer --layers, --orders or --heads",
        )
    heads = scheme.num_heads * len(scheme.layers)
    beyond = size_bytes // (heads * layout.record_bytes) + LEAST_SLOTS
    most = _largest(LEAST_SLOTS, beyond, lambda slots: rows_fit(slots, size_bytes))
    whole = total(most)
    if whole <= size_bytes:
        return most
    rows = _row_bytes(replace(scheme, slots=(most,) * len(scheme.slots)), layout)
    less = size_bytes - (whole - rows)
    low = _largest(LEAST_SLOTS, most, lambda slots: rows_fit(slots, less))
    return _largest(low, most, lambda slots: total(slots) <= size_bytes)


def _largest(fits: int, beyond: int, test: Callable[[int], bool]) -> int:
    """Return the largest number below `beyond` that passes; `fits` does, and all below it do."""
    while beyond - fits > 1:
        middle = (fits + beyond) // 2
        if test(middle):
            fits = middle
        else:
            beyond = middle
    return fits


def _row_bytes(scheme: Scheme, layout: Layout) -> int:
    return sum(
        layout.data_bytes(part, scheme.num_rows(layer))
        for layer in scheme.layers
        for part in layout.parts
    )
