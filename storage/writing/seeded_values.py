"""How rows begin: zeros, or seeded normal values that any language can make byte for byte.

The definition is in docs/format.md. A value is picked, not computed: 16 bits of a SplitMix64
stream index a table of 65,536 normal quantiles, each rounded once to the row's dtype. A row's bytes
depend on seed, layer, row id, row_dim and dtype only: never on chunks, threads or layout.
"""

from dataclasses import dataclass
from functools import cache
from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import ConfigError, unknown
from engramctl.runtime.kernel_cache import njit
from engramctl.storage.format.geometry import Layout
from engramctl.storage.record.codecs import decode, table_scale_for
from engramctl.storage.record.losses import HeadError
from engramctl.storage.record.record import (
    E4M3_MAX,
    RecordSpec,
    e8m0_at_least,
    to_bf16_bits,
    to_e4m3_bytes,
)

INITS = ("normal", "zeros")
DEFAULT_STD = 0.02
NUM_QUANTILES = 65_536
_MASK = (1 << 64) - 1
_STD_RANGE = (1e-30, 1e30)
TABLED = ("f32", "bf16", "f16", "f8_e4m3", "f8_e4m3_scalar")  # a value's bits need no other value
_ONE = 127  # the e8m0 byte of 1.0


def splitmix64(x: int) -> int:
    """Return one SplitMix64 output for state `x`, modulo 2^64.

    Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.

    Example:
        >>> hex(splitmix64(0))
        '0xe220a8397b1dcdaf'
    """
    z = (x + 0x9E3779B97F4A7C15) & _MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & _MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & _MASK
    return z ^ (z >> 31)


@cache
def quantiles(std: float) -> NDArray[np.float64]:
    """Return the 65,536 normal quantiles, float64, ascending: std * inv_cdf((i + 0.5) / 65536)."""
    inverse = NormalDist().inv_cdf
    points = [std * inverse((i + 0.5) / NUM_QUANTILES) for i in range(NUM_QUANTILES)]
    return np.array(points, dtype=np.float64)


@dataclass(frozen=True)
class RowInit:
    """What rows hold before anything is learnt.

    Attributes:
        kind: `normal` or `zeros`.
        seed: of the normal values, 0 <= seed < 2^63.
        std: standard deviation of the normal values.

    Raises:
        ConfigError: an unknown kind, or a seed or std out of range.
    """

    kind: str = "normal"
    seed: int = 0
    std: float = DEFAULT_STD

    def __post_init__(self) -> None:
        """Refuse what cannot be made."""
        if self.kind not in INITS:
            raise unknown("init", self.kind, INITS)
        if not 0 <= self.seed < 1 << 63:
            raise ConfigError(
                f"seed {self.seed} is out of range", facts={"expected": "0 to 2^63-1"}
            )
        low, high = _STD_RANGE
        if not low <= self.std <= high:
            raise ConfigError(
                f"std {self.std} is out of range", facts={"expected": f"{low:g} to {high:g}"}
            )

    @property
    def largest(self) -> float:
        """The largest value there can be."""
        return 0.0 if self.kind == "zeros" else float(quantiles(self.std)[-1])

    def table_scale(self, spec: RecordSpec) -> float | None:
        """Return the table scale of rows of a dtype that has one: the largest value just fits."""
        return table_scale_for(spec, self.largest)

    def error(self, spec: RecordSpec) -> HeadError:
        """Return what storing does to the values that rows of a TABLED dtype are drawn from."""
        before = quantiles(self.std).reshape(1, -1)
        whole = RecordSpec(spec.dtype, NUM_QUANTILES)
        records = np.full((1, whole.record_bytes), self.scale_byte(), np.uint8)
        records[0, : whole.weight_bytes] = self.value_table(spec).view(np.uint8)
        error = HeadError()
        error.add(before, decode(whole, records, self.table_scale(spec)))
        return error

    def scale_byte(self) -> int:
        """Return the one e8m0 scale byte of every f8_e4m3 row: 2^0 for zeros."""
        return int(e8m0_at_least(self.largest / E4M3_MAX)) if self.largest else _ONE

    def value_table(self, spec: RecordSpec) -> NDArray[np.unsignedinteger]:
        """Return the stored bits of each quantile, `spec.element` (65536,)."""
        values = quantiles(self.std)
        if spec.dtype == "bf16":
            return to_bf16_bits(values)
        if spec.dtype == "f16":
            return values.astype(np.float16).view(np.uint16)
        if spec.dtype == "f32":
            return values.astype(np.float32).view(np.uint32)
        if spec.dtype == "f8_e4m3":
            return to_e4m3_bytes(np.ldexp(values, _ONE - self.scale_byte()))
        return to_e4m3_bytes(values / np.float32(self.table_scale(spec) or 1.0))


class RowFiller:
    """Writes rows of one layer into buffers; safe from several threads.

    `engramctl.storage.writing.seeded_rows` has the rows of the other dtypes, which are not TABLED.
    """

    def __init__(self, init: RowInit, spec: RecordSpec, layer: int) -> None:
        """Prepare the table of stored values.

        Args:
            init: what rows hold.
            spec: how one row is stored, in a TABLED dtype.
            layer: the layer, part of the seed.
        """
        assert spec.dtype in TABLED
        self.spec = spec
        self.scale_byte = init.scale_byte()
        self._table = None if init.kind == "zeros" else init.value_table(spec)
        self._state = np.uint64(splitmix64((init.seed + layer) & _MASK))

    def fill(
        self, layout: Layout, part: str, row_start: int, num_rows: int, out: NDArray[np.uint8]
    ) -> None:
        """Write every byte of one part of rows [row_start, row_start + num_rows).

        Args:
            layout: how the rows lie.
            part: `weight`, `scale` or `records`.
            row_start: first row id, at the start of `out`.
            num_rows: how many rows.
            out: uint8 (data_bytes,), contiguous, aligned to the value's size.
        """
        if part == "scale":
            out[:] = self.scale_byte
        elif self._table is not None:
            self._fill_values(layout, part, row_start, num_rows, out)
        else:
            out[:] = 0
            if part == "records":
                for block, _ in layout.blocks(out, num_rows):
                    block[:, :, self.spec.weight_bytes :] = self.scale_byte
        if part == "records":
            layout.clear_unused(out, num_rows)

    def _fill_values(
        self, layout: Layout, part: str, row_start: int, num_rows: int, out: NDArray[np.uint8]
    ) -> None:
        width = np.dtype(self.spec.element).itemsize
        unit = layout.unit(part)
        paged = unit.num_rows > 1
        _fill(
            out.view(self.spec.element),
            self._table,
            self._state,
            row_start,
            num_rows,
            self.spec.row_dim,
            (self.spec.record_bytes if paged else unit.num_bytes) // width,
            unit.num_bytes // width,
            unit.num_rows,
            self.spec.scale_bytes if part == "records" else 0,
            self.scale_byte,
        )


@njit(nogil=True, cache=True)
def _fill(  # type: ignore[no-untyped-def]  # pragma: no cover
    out, table, state, row_start, num_rows, row_dim, stride, page, rows_per_page, scales, scale
):
    # Words first, then look-ups: the first loop is vectorised, the second only loads and stores.
    words = (row_dim + 3) // 4
    stream = np.empty(words, np.uint64)
    indices = stream.view(np.uint16)
    for i in range(num_rows):
        x = state + np.uint64(row_start + i) * np.uint64(words) + np.uint64(0x9E3779B97F4A7C15)
        for w in range(words):
            z = x + np.uint64(w)
            z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
            stream[w] = z ^ (z >> np.uint64(31))
        at = i // rows_per_page * page + i % rows_per_page * stride
        for j in range(row_dim):
            out[at + j] = table[indices[j]]
        for j in range(scales):  # their bytes follow the values, which are bytes too
            out[at + row_dim + j] = scale
