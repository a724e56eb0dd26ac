"""Which values a dtype can hold: no finite value may come back as NaN or as infinity.

A scale is as small a float as its values (int4 has float16 scales), and overflows where they are
large. `Dtype.limit` says from where on; what is beyond is refused, with its place.
"""

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import ConfigError, FormatError
from engramctl.storage.record.record import RecordSpec

_SIZE = np.uint32(0x7FFFFFFF)
_INFINITY = 0x7F800000


def check_values(
    spec: RecordSpec, values: NDArray[np.float32], *, layer: int | None = None, row: int = 0
) -> None:
    """Refuse values that a dtype cannot hold.

    Args:
        spec: how they are to be stored.
        values: float32 (n, row_dim).
        layer: whose rows they are, for the message.
        row: the first of them.

    Raises:
        FormatError: the first that is too large, or NaN or infinite in a dtype that has neither;
            names layer, row, column and value.

    Example:
        >>> check_values(RecordSpec("int4", 32), np.full((1, 32), 458_639, np.float32))
    """
    facts = spec.facts
    largest = min(int(np.float32(facts.limit).view(np.uint32)), _INFINITY)
    sizes = np.ascontiguousarray(values).view(np.uint32) & _SIZE  # they ascend as the values do
    if not sizes.size or int(sizes.max()) < largest:
        return
    bad = sizes >= largest
    if facts.holds_non_finite:
        bad &= sizes < _INFINITY
    places = np.argwhere(bad)
    if not len(places):
        return
    at, column = (int(number) for number in places[0])
    value = float(values[at, column])
    place = {} if layer is None else {"layer": layer}
    found = {**place, "row": row + at, "column": column, "found": value}
    if not np.isfinite(value):
        raise FormatError(
            f"a value that is not finite cannot be stored as {spec.dtype}",
            facts=found,
            hint="store it as bf16, or mend the source",
        )
    raise FormatError(
        f"a value is too large to be stored as {spec.dtype}",
        facts={**found, "expected": f"below {_words(facts.limit)} in size"},
        hint=f"store it as {_wider(spec.dtype)}, or mend the source",
    )


def check_largest(spec: RecordSpec, largest: float, what: str) -> None:
    """Refuse values to be made whose largest a dtype cannot hold.

    Raises:
        ConfigError: names what makes them.
    """
    if largest >= spec.facts.limit:
        raise ConfigError(
            f"{what} gives values that {spec.dtype} cannot hold",
            facts={"expected": f"below {_words(spec.facts.limit)} in size", "found": largest},
            hint=f"choose a smaller one, or --dtype {_wider(spec.dtype)}",
        )


def _wider(dtype: str) -> str:
    return "f32" if dtype == "bf16" else "bf16"


def _words(limit: float) -> str:
    return f"{limit:,.0f}" if limit < 1e9 else f"{limit:.6g}"
