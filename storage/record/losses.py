"""What storing values in a dtype lost, head by head: largest error, RMS error, cosine."""

from collections.abc import Iterable, Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.runtime.kernel_cache import njit

Ranges = Sequence[tuple[int, int]]
Floats = NDArray[np.float32] | NDArray[np.float64]


@dataclass
class HeadError:
    """What encoding did to the values of one head.

    Attributes:
        values: how many were compared.
        largest: largest absolute error.
        squares: sum of squared errors.
        dot: sum of products of values before and after.
        before: sum of squared values before.
        after: sum of squared values after.
    """

    values: int = 0
    largest: float = 0.0
    squares: float = 0.0
    dot: float = 0.0
    before: float = 0.0
    after: float = 0.0

    def add(self, before: Floats, after: Floats) -> None:
        """Compare more values, of one shape (n, m)."""
        self.merge(HeadError(before.size, *_sums(before, after)))

    def merge(self, other: "HeadError") -> None:
        """Count the values of another one too."""
        self.values += other.values
        self.largest = max(self.largest, other.largest)
        self.squares += other.squares
        self.dot += other.dot
        self.before += other.before
        self.after += other.after

    def to_dict(self) -> dict[str, float | int | None]:
        """Return values compared, largest and RMS error, and the cosine (None for zeros)."""
        norms = (self.before * self.after) ** 0.5
        return {
            "values": self.values,
            "max_abs": self.largest,
            "rms": (self.squares / self.values) ** 0.5 if self.values else 0.0,
            "cosine": self.dot / norms if norms else None,
        }


class Losses:
    """The errors of some rows, by layer and head. Not for several threads."""

    def __init__(self) -> None:
        """Nothing was compared yet."""
        self._errors: dict[tuple[int, int], HeadError] = {}

    def add(self, layer: int, row: int, heads: Ranges, before: Floats, after: Floats) -> None:
        """Compare consecutive rows.

        Args:
            layer: whose rows.
            row: the first.
            heads: the layer's heads, ranges of rows that cover it.
            before: values (n, row_dim).
            after: what became of them.
        """
        for head, (start, stop) in enumerate(heads):
            rows = slice(max(0, start - row), max(0, stop - row))
            if len(before[rows]):
                self._error(layer, head).add(before[rows], after[rows])

    def remark(self) -> list[list[Any]]:
        """Return it as JSON, for `write_table` to keep."""
        return [[*place, *astuple(error)] for place, error in self._errors.items()]

    def told(self, remark: Iterable[Sequence[Any]]) -> None:
        """Add what a remark says; in the order of rows the sums are the same in every run."""
        for layer, head, *numbers in remark:
            self._error(layer, head).merge(HeadError(*numbers))

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return an entry a layer and head, ascending."""
        return [
            {"layer": layer, "head": head, **error.to_dict()}
            for (layer, head), error in sorted(self._errors.items())
        ]

    def _error(self, layer: int, head: int) -> HeadError:
        return self._errors.setdefault((layer, head), HeadError())


@njit(nogil=True, cache=True)
def _sums(before: Any, after: Any) -> Any:
    """Return largest error and the sums of error^2, product, before^2 and after^2, in float64."""
    largest = squares = dot = first = second = 0.0
    for i in range(before.shape[0]):
        for j in range(before.shape[1]):
            x, y = np.float64(before[i, j]), np.float64(after[i, j])
            largest = max(largest, abs(y - x))
            squares += (y - x) * (y - x)
            dot += x * y
            first += x * x
            second += y * y
    return largest, squares, dot, first, second
