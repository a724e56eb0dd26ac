"""Records gathered on a device by what works there: a Triton kernel, or torch operations."""

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch

from engramctl.errors import ConfigError, unknown
from engramctl.storage.device import torch_gather, triton_gather
from engramctl.storage.device.bad_ids import NOT_BAD
from engramctl.storage.record.record import RecordSpec

KERNELS = ("triton", "torch")
_IDS = (torch.int32, torch.int64)


class Gathering:
    """Gathers records of one geometry on one device. Safe from several threads; never waits.

    Work is queued on the current stream.

    Attributes:
        kernel: `triton` or `torch`.
        why: why it is this one, in words.
    """

    def __init__(
        self, spec: RecordSpec, device: torch.device, dtype: torch.dtype, wanted: str = "auto"
    ) -> None:
        """Choose the kernel; Triton's is compiled and started once, on no rows.

        Args:
            spec: how records are stored.
            device: where values go.
            dtype: of values, torch.bfloat16 or torch.float32.
            wanted: `triton`, `torch`, or `auto`: Triton on a CUDA device where it works.

        Raises:
            ConfigError: another name, or Triton is wanted where it cannot be had.
        """
        if wanted not in ("auto", *KERNELS):
            raise unknown("gather kernel", wanted, ("auto", *KERNELS))
        self.spec, self.device, self.dtype = spec, device, dtype
        self._form = triton_gather.form_of(spec)
        self._word = triton_gather.words_of(self._form)
        self.kernel, self.why = "torch", "it was asked for"
        if wanted == "torch":
            return
        missing = triton_gather.missing(device) or self._tried()
        if missing is None:
            self.kernel = "triton"
            self.why = "Triton works on this device" if wanted == "auto" else "it was asked for"
        elif wanted == "triton":
            raise ConfigError(
                f"the Triton kernel cannot gather rows on {device}: {missing}",
                hint="leave the choice to auto, or ask for torch",
            )
        else:
            self.why = missing

    def gather(
        self,
        records: torch.Tensor,
        row_ids: torch.Tensor,
        table_scale: float,
        out: torch.Tensor,
        *,
        targets: torch.Tensor | None = None,
        bad: torch.Tensor | None = None,
        num_rows: int | None = None,
    ) -> None:
        """Gather rows and dequantise them into `out`.

        Values are those of `storage.record.codecs.decode`, rounded once to `dtype`. The row of an
        id that is none is NaN.

        Args:
            records: uint8 (R, record_bytes), contiguous, on the device; for Triton also pinned
                memory of the host.
            row_ids: int32 or int64 (n,), contiguous, on the device.
            table_scale: float32 that scales the layer, 1 for dtypes without one.
            out: (m, row_dim), contiguous, of `dtype`, on the device.
            targets: int32 or int64 (n,), contiguous, distinct and below m: the row of `out` of each
                id, which the caller answers for; None: its position.
            bad: int64 (1,), on the device: set to the position of the first id that is no row,
                where that is less than what it holds (2^62: none yet).
            num_rows: ids must lie in [0, num_rows); default: R.

        Raises:
            ValueError: tensors of another dtype, shape, device or layout.
        """
        rows = len(records) if num_rows is None else num_rows
        self._check(records, row_ids, targets, rows)
        fits = out.dim() == 2 and out.shape[1] == self.spec.row_dim and out.dtype is self.dtype
        if not fits or not out.is_contiguous() or out.device != self.device:
            raise ValueError(f"out must be contiguous {self.dtype} (m, {self.spec.row_dim})")
        if targets is None and len(out) < len(row_ids):
            raise ValueError(f"out has {len(out):,} rows for {len(row_ids):,} row ids")
        if bad is not None and (bad.dtype is not torch.int64 or bad.device != self.device):
            raise ValueError("bad must be int64 (1,), on the device")
        if not len(row_ids):
            return
        if self.kernel == "torch":
            torch_gather.gather(self.spec, records, row_ids, table_scale, out, targets, bad, rows)
            return
        with self._current():
            triton_gather.gather(
                self._form, records, row_ids, table_scale, out, targets, bad, rows
            )

    def copy(
        self,
        records: torch.Tensor,
        row_ids: torch.Tensor,
        out_records: torch.Tensor,
        *,
        targets: torch.Tensor | None = None,
    ) -> None:
        """Gather records as they are.

        Args:
            records: as in `gather`.
            row_ids: as in `gather`; what is no row leaves its place as it was.
            out_records: uint8 (m, record_bytes), contiguous, on the device.
            targets: as in `gather`.

        Raises:
            ValueError: tensors of another dtype, shape, device or layout.
        """
        self._check(records, row_ids, targets, len(records))
        self._check_records(out_records, "out_records")
        if targets is None and len(out_records) < len(row_ids):
            raise ValueError(f"out has {len(out_records):,} records for {len(row_ids):,} row ids")
        self._copied(records, row_ids, out_records, targets, len(row_ids))

    def put(
        self, records: torch.Tensor, slots: torch.Tensor, new_records: torch.Tensor
    ) -> None:
        """Write records: `records[slots[i]] = new_records[i]`.

        Args:
            records: as in `gather`.
            slots: int32 or int64 (n,), contiguous, on the device; distinct and below R, which the
                caller answers for.
            new_records: uint8 (n, record_bytes), contiguous, on the device.

        Raises:
            ValueError: tensors of another dtype, shape, device or layout.
        """
        self._check(records, slots, None, 0)
        self._check_records(new_records, "new_records")
        if len(new_records) != len(slots):
            raise ValueError(f"{len(new_records):,} records for {len(slots):,} slots")
        self._copied(new_records, None, records, slots, len(slots))

    def _copied(
        self,
        source: torch.Tensor,
        row_ids: torch.Tensor | None,
        out: torch.Tensor,
        targets: torch.Tensor | None,
        count: int,
    ) -> None:
        if not count:
            return
        if self.kernel == "torch":
            torch_gather.copy(source, row_ids, out, targets)
            return
        with self._current():
            triton_gather.copy(source, row_ids, out, targets, count)

    def _check(
        self,
        records: torch.Tensor,
        row_ids: torch.Tensor,
        targets: torch.Tensor | None,
        num_rows: int,
    ) -> None:
        """Refuse what a kernel would read or write wrongly."""
        self._check_records(records, "records")
        if num_rows > len(records):
            raise ValueError(f"{num_rows:,} rows are more than the {len(records):,} records")
        for name, ids in (("row_ids", row_ids), ("targets", targets)):
            if ids is None:
                continue
            if ids.dtype not in _IDS or ids.dim() != 1 or not ids.is_contiguous():
                raise ValueError(f"{name} must be contiguous int32 or int64 (n,)")
            if ids.device != self.device or len(ids) != len(row_ids):
                raise ValueError(f"{name} must be (n,) on {self.device}, not {ids.device}")

    def _check_records(self, records: torch.Tensor, name: str) -> None:
        wanted = self.spec.record_bytes
        if records.dtype is not torch.uint8 or records.dim() != 2 or records.shape[1] != wanted:
            raise ValueError(f"{name} must be uint8 (R, {wanted})")
        there = records.device == self.device
        if not there and not (self.kernel == "triton" and records.is_cpu):  # of pinned memory
            raise ValueError(f"{name} must be on {self.device}, not {records.device}")
        if not records.is_contiguous():
            raise ValueError(f"{name} must be contiguous")
        if self.kernel == "triton" and self._word > 1:
            if triton_gather.address_of(records) % self._word:
                raise ValueError(f"{name} must begin at a multiple of {self._word} bytes")

    def _current(self) -> AbstractContextManager[Any]:
        """Make the device the current one, where Triton launches; mostly it is."""
        if self.device.type != "cuda" or torch.cuda.current_device() == self.device.index:
            return nullcontext()
        return torch.cuda.device(self.device)

    def _tried(self) -> str | None:
        """Start the kernel for few rows, of either type of ids; return why that fails, or None."""
        records = torch.zeros((1, self.spec.record_bytes), dtype=torch.uint8, device=self.device)
        out = torch.empty((1, self.spec.row_dim), dtype=self.dtype, device=self.device)
        bad = torch.full((1,), NOT_BAD, dtype=torch.int64, device=self.device)
        try:
            for dtype in _IDS:
                ids = torch.zeros(1, dtype=dtype, device=self.device)
                with self._current():
                    triton_gather.gather(self._form, records, ids, 1.0, out, None, bad, 1)
        except Exception as error:  # of whatever kind: of Triton, its compiler, the driver
            said = f"{type(error).__name__}: {error}".splitlines()
            return f"Triton's kernel does not start here: {said[0]}"
        return None
