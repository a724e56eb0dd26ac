"""Records of one dtype into records of another, and what that costs in accuracy, head by head."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.codecs import decode, encode, table_scale_for
from engramctl.storage.layout import ReadRecords
from engramctl.storage.record import RecordSpec

PIECE_ROWS = 4096


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

    def add(self, before: NDArray[np.float32], after: NDArray[np.float32]) -> None:
        """Compare more values, float32 of one shape."""
        exact, found = before.astype(np.float64), after.astype(np.float64)
        error = found - exact
        self.values += exact.size
        self.largest = max(self.largest, float(np.abs(error).max(initial=0.0)))
        self.squares += float((error * error).sum())
        self.dot += float((exact * found).sum())
        self.before += float((exact * exact).sum())
        self.after += float((found * found).sum())

    def to_dict(self) -> dict[str, float | int | None]:
        """Return values compared, largest and RMS error, and the cosine (None for zeros)."""
        norms = (self.before * self.after) ** 0.5
        return {
            "values": self.values,
            "max_abs": self.largest,
            "rms": (self.squares / self.values) ** 0.5 if self.values else 0.0,
            "cosine": self.dot / norms if norms else None,
        }


class Converter:
    """Reads records of a source as records of another dtype; safe from several threads."""

    def __init__(
        self,
        read: ReadRecords,
        source: RecordSpec,
        target: RecordSpec,
        source_scales: Callable[[int], float | None],
        target_scales: Callable[[int], float | None],
        head_rows: Callable[[int], Sequence[tuple[int, int]]],
    ) -> None:
        """Prepare; nothing is read.

        Args:
            read: as `RecordReader.read`.
            source: how its records are stored.
            target: how they shall be; of the same row_dim.
            source_scales: the layers' table scales.
            target_scales: those to be.
            head_rows: each layer's heads, ranges that cover it.
        """
        self._read = read
        self._source, self._target = source, target
        self._scales = source_scales, target_scales
        self._heads = head_rows
        self._errors: dict[tuple[int, int], HeadError] = {}
        self._lock = threading.Lock()

    def read(self, layer: int, row_start: int, out: NDArray[np.uint8]) -> None:
        """Read consecutive records, converted; their errors are counted.

        Args:
            layer: whose table.
            row_start: the first row.
            out: uint8 (n, record_bytes) of the target.
        """
        self._convert(layer, row_start, out, count=True)

    def read_again(self, layer: int, row_start: int, out: NDArray[np.uint8]) -> None:
        """Read as `read` does, but count no errors: for a second part of the same rows."""
        self._convert(layer, row_start, out, count=False)

    def _convert(self, layer: int, row_start: int, out: NDArray[np.uint8], *, count: bool) -> None:
        before, after = (scale(layer) for scale in self._scales)
        for start in range(0, len(out), PIECE_ROWS):
            piece = out[start : start + PIECE_ROWS]
            records = np.empty((len(piece), self._source.record_bytes), np.uint8)
            self._read(layer, row_start + start, records)
            values = decode(self._source, records, before)
            piece[:] = encode(self._target, values, after)
            if count:
                self._count(layer, row_start + start, values, decode(self._target, piece, after))

    def _count(
        self, layer: int, row: int, before: NDArray[np.float32], after: NDArray[np.float32]
    ) -> None:
        for head, (start, stop) in enumerate(self._heads(layer)):
            rows = slice(max(0, start - row), max(0, stop - row))
            if len(before[rows]):
                with self._lock:
                    error = self._errors.setdefault((layer, head), HeadError())
                    error.add(before[rows], after[rows])

    def errors(self) -> list[dict[str, Any]]:
        """Return what was lost: one entry a layer and head, ascending."""
        return [
            {"layer": layer, "head": head, **error.to_dict()}
            for (layer, head), error in sorted(self._errors.items())
        ]


def fitting_scale(
    read: ReadRecords,
    source: RecordSpec,
    source_scale: float | None,
    target: RecordSpec,
    layer: int,
    num_rows: int,
    progress: Callable[[int], None] = lambda amount: None,
) -> float | None:
    """Return the table scale with which a layer's largest value just fits a dtype.

    Reads the whole layer once, for dtypes that have such a scale; None for others.
    """
    if not target.facts.table_scale:
        return None
    largest = 0.0
    for start in range(0, num_rows, PIECE_ROWS):
        records = np.empty((min(PIECE_ROWS, num_rows - start), source.record_bytes), np.uint8)
        read(layer, start, records)
        sizes = np.abs(decode(source, records, source_scale))
        largest = max(largest, float(sizes.max(initial=0.0, where=np.isfinite(sizes))))
        progress(len(records))
    return table_scale_for(target, largest)
