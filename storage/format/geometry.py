"""How rows lie in files: planar, packed or paged, and the address of each.

`planar`: values and scales in two files, as in checkpoints. `packed`: records back to back.
`paged`: records in pages, so that none crosses a page; a page's unused end is zero.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import ConfigError, unknown
from engramctl.storage.record.record import RecordSpec

FORMS = ("planar", "packed", "paged")
TIERS = ("gpu", "host", "ssd")
TIER_FORMS = {"gpu": "packed", "host": "packed", "ssd": "paged"}
PAGE_BYTES = 4096
PAGE_STEP = 512
MAX_PAGE_BYTES = 1 << 30


@dataclass(frozen=True)
class Unit:
    """What a part repeats: one row of a planar or packed part, one page of a paged one."""

    num_rows: int
    num_bytes: int


@dataclass(frozen=True)
class Layout:
    """The manifest's `layout`: form and record geometry.

    Attributes:
        form: one of FORMS.
        dtype: the rows' dtype.
        row_dim: values in a row.
        record_bytes: bytes of one row's values and scales.
        page_bytes: bytes of a page, None unless paged.
        rows_per_page: records in a page, None unless paged.
    """

    form: str
    dtype: str
    row_dim: int
    record_bytes: int
    page_bytes: int | None = None
    rows_per_page: int | None = None

    @classmethod
    def of(cls, form: str, record: RecordSpec, page_bytes: int | None = None) -> Self:
        """Return the layout of a form.

        Args:
            form: one of FORMS.
            record: what is stored.
            page_bytes: of a page, a multiple of 512 that holds a record (default: 4,096, or the
                multiple of it that one large record needs).

        Raises:
            ConfigError: an unknown form, or a page that cannot be.
        """
        if form not in FORMS:
            raise unknown("form", form, FORMS)
        if form != "paged":
            if page_bytes is not None:
                raise ConfigError(f"form {form} has no pages", hint="leave out --page-bytes")
            return cls(form, record.dtype, record.row_dim, record.record_bytes)
        page = page_bytes or -(-record.record_bytes // PAGE_BYTES) * PAGE_BYTES
        if page % PAGE_STEP or not record.record_bytes <= page <= MAX_PAGE_BYTES:
            raise ConfigError(
                f"a page cannot have {page:,} bytes",
                facts={
                    "expected": f"a multiple of {PAGE_STEP} from {record.record_bytes:,} "
                    f"to {MAX_PAGE_BYTES:,}"
                },
            )
        rows = page // record.record_bytes
        return cls(form, record.dtype, record.row_dim, record.record_bytes, page, rows)

    @property
    def record(self) -> RecordSpec:
        """The geometry of one record."""
        return RecordSpec(self.dtype, self.row_dim)

    @property
    def parts(self) -> tuple[str, ...]:
        """The files of one range of rows: `weight` (and `scale`), or `records`."""
        if self.form != "planar":
            return ("records",)
        return ("weight", "scale") if self.record.scale_bytes else ("weight",)

    def unit(self, part: str) -> Unit:
        """Return what `part` repeats."""
        if part == "records":
            return Unit(self.rows_per_page or 1, self.page_bytes or self.record_bytes)
        record = self.record
        return Unit(1, record.weight_bytes if part == "weight" else record.scale_bytes)

    def data_bytes(self, part: str, num_rows: int) -> int:
        """Return the bytes `num_rows` rows need in one file."""
        unit = self.unit(part)
        return -(-num_rows // unit.num_rows) * unit.num_bytes

    def row_offset(self, part: str, row: int) -> int:
        """Return where a row begins, in bytes after `data_offset`; `row` counts from the shard."""
        unit = self.unit(part)
        within = row % unit.num_rows * self.record_bytes if unit.num_rows > 1 else 0
        return row // unit.num_rows * unit.num_bytes + within

    def tensor(self, part: str, num_rows: int) -> tuple[str, tuple[int, int]]:
        """Return dtype and shape of the file's one tensor, as safetensors names them."""
        unit = self.unit(part)
        if part == "records":
            return "U8", (-(-num_rows // unit.num_rows), unit.num_bytes)
        facts = self.record.facts
        if part == "weight":
            return facts.tensor, (num_rows, unit.num_bytes // facts.item_bytes)
        assert facts.scale_tensor is not None
        return facts.scale_tensor, (num_rows, unit.num_bytes // facts.scale_item_bytes)

    def blocks(
        self, data: NDArray[np.uint8], num_rows: int
    ) -> Iterator[tuple[NDArray[np.uint8], slice]]:
        """View the records of a `records` part without copying.

        Args:
            data: uint8 (data_bytes,), beginning at a page.
            num_rows: rows in it.

        Yields:
            (view, rows): uint8 (pages, rows of a page, record_bytes) and the rows it holds, first
            for the full pages, then for a partial last one.
        """
        unit = self.unit("records")
        if unit.num_rows == 1:
            units = data.reshape(num_rows, 1, unit.num_bytes)
            yield units[:, :, : self.record_bytes], slice(0, num_rows)
            return
        pages = data.reshape(-1, unit.num_bytes)
        used = pages[:, : unit.num_rows * self.record_bytes]
        full, rest = divmod(num_rows, unit.num_rows)
        shape = (unit.num_rows, self.record_bytes)
        if full:
            yield used[:full].reshape(full, *shape), slice(0, full * unit.num_rows)
        if rest:
            view = used[full : full + 1].reshape(1, *shape)[:, :rest]
            yield view, slice(full * unit.num_rows, num_rows)

    def clear_unused(self, data: NDArray[np.uint8], num_rows: int) -> None:
        """Zero the bytes of a `records` part that belong to no record."""
        unit = self.unit("records")
        used = unit.num_rows * self.record_bytes
        if used < unit.num_bytes:
            data.reshape(-1, unit.num_bytes)[:, used:] = 0
        if num_rows % unit.num_rows:
            data[self.row_offset("records", num_rows) :] = 0
