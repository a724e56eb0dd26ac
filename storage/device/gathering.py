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
        """Choose the kernel; Triton's is compiled, for int64 ids, and started once.

        Its other forms, for int32 ids and for many rows, are compiled when they are first needed.

        Args:
            spec: how records are stored.
            device: where values go.
            dtype: of values, torch.bfloat16 or torch.float32; torch.uint8: records as they are.
            wanted: `triton`, `torch`, or `auto`: Triton on a CUDA device where it works.

        Raises:
            ConfigError: another name, or Triton is wanted where it cannot be had.
        """
        if wanted not in ("auto", *KERNELS):
            raise unknown("gather kernel", wanted, ("auto", *KERNELS))
        self.spec, self.device, self.dtype = spec, device, dtype
        self._width = spec.record_bytes if dtype is torch.uint8 else spec.row_dim
        self._form = triton_gather.form_of(spec)
        self._word = triton_gather.word_of(spec.record_bytes)
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
        id that is none is NaN; of records, zeros.

        Args:
            records: uint8 (R, record_bytes), contiguous, on the device; for Triton also pinned
                memory of the host.
            row_ids: int32 or int64 (n,), contiguous, on the device.
            table_scale: float32 that scales the layer, 1 for dtypes without one.
            out: (m, row_dim), of uint8 (m, record_bytes); contiguous, of `dtype`, on the device.
            targets: int32 or int64 (n,), contiguous, distinct and below m: the row of `out` of each
                id, which the caller answers for; below 0: the id is left out; None: its position.
            bad: int64 (1,), on the device: set to the position of the first id that is no row,
                where that is less than what it holds (2^62: none yet).
            num_rows: ids must lie in [0, num_rows); default: R.

        Raises:
            ValueError: tensors of another dtype, shape, device or layout.
        """
        rows = len(records) if num_rows is None else num_rows
        self._check_records(records, "records")
        if not 0 <= rows <= len(records):
            raise ValueError(f"{rows:,} rows of {len(records):,} records")
        self._check_ids(row_ids, "row_ids", len(row_ids))
        if out.dtype is not self.dtype or out.dim() != 2 or out.shape[1] != self._width:
            raise ValueError(f"out must be {self.dtype} (m, {self._width})")
        if not out.is_contiguous() or out.device != self.device:
            raise ValueError(f"out must be contiguous, on {self.device}")
        self._check_targets(targets, len(row_ids), len(out))
        if bad is not None and (bad.dtype is not torch.int64 or bad.device != self.device):
            raise ValueError(f"bad must be int64 (1,), on {self.device}")
        self.queue(records, row_ids, table_scale, out, targets, bad, rows)

    def copy(
        self,
        records: torch.Tensor,
        row_ids: torch.Tensor,
        out_records: torch.Tensor,
        *,
        targets: torch.Tensor | None = None,
    ) -> None:
        """Gather records as they are; what is no row becomes zeros.

        Args:
            records: as in `gather`, as the ids and targets.
            row_ids: which.
            out_records: uint8 (m, record_bytes), contiguous, on the device.
            targets: where to.

        Raises:
            ValueError: tensors of another dtype, shape, device or layout.
        """
        self._check_records(records, "records")
        self._check_records(out_records, "out_records")
        self._check_ids(row_ids, "row_ids", len(row_ids))
        self._check_targets(targets, len(row_ids), len(out_records))
        self.queue(records, row_ids, 1.0, out_records, targets, None, len(records))

    def put(self, records: torch.Tensor, slots: torch.Tensor, new_records: torch.Tensor) -> None:
        """Write records: `records[slots[i]] = new_records[i]`.

        Args:
            records: as in `gather`.
            slots: int32 or int64 (n,), contiguous, on the device; distinct and below R, which the
                caller answers for.
            new_records: uint8 (n, record_bytes), contiguous, on the device.

        Raises:
            ValueError: tensors of another dtype, shape, device or layout.
        """
        self._check_records(records, "records")
        self._check_records(new_records, "new_records")
        self._check_ids(slots, "slots", len(new_records))
        if not len(slots):
            return
        if self.kernel == "torch":
            records.index_copy_(0, slots.long(), new_records)
            return
        with self._current():
            triton_gather.copy(new_records, None, records, slots, None, len(slots), 0)

    def queue(
        self,
        records: torch.Tensor,
        row_ids: torch.Tensor,
        table_scale: float,
        out: torch.Tensor,
        targets: torch.Tensor | None,
        bad: torch.Tensor | None,
        num_rows: int,
    ) -> None:
        """Do as `gather` does with tensors that are known to fit; where they do not, anything goes.

        What is looked at again costs as much as the launch.
        """
        if not len(row_ids):
            return
        if self.kernel == "torch":
            torch_gather.gather(
                self.spec, records, row_ids, table_scale, out, targets, bad, num_rows
            )
        else:
            with self._current():
                self._launch(records, row_ids, table_scale, out, targets, bad, num_rows)

    def _launch(
        self,
        records: torch.Tensor,
        row_ids: torch.Tensor,
        table_scale: float,
        out: torch.Tensor,
        targets: torch.Tensor | None,
        bad: torch.Tensor | None,
        num_rows: int,
    ) -> None:
        if out.dtype is torch.uint8:
            triton_gather.copy(records, row_ids, out, targets, bad, len(row_ids), num_rows)
        else:
            triton_gather.gather(
                self._form, records, row_ids, table_scale, out, targets, bad, num_rows
            )

    def _check_ids(self, ids: torch.Tensor, name: str, count: int) -> None:
        """Refuse what a kernel would read wrongly."""
        if ids.dtype not in _IDS or ids.dim() != 1 or not ids.is_contiguous():
            raise ValueError(f"{name} must be contiguous int32 or int64 (n,)")
        if ids.device != self.device or len(ids) != count:
            raise ValueError(f"{name} must be ({count},) on {self.device}, not {ids.device}")

    def _check_targets(self, targets: torch.Tensor | None, count: int, room: int) -> None:
        if targets is not None:
            self._check_ids(targets, "targets", count)
        elif room < count:
            raise ValueError(f"out has room for {room:,} rows, not for {count:,}")

    def _check_records(self, records: torch.Tensor, name: str) -> None:
        wanted, word = self.spec.record_bytes, self._word
        if records.dtype is not torch.uint8 or records.dim() != 2 or records.shape[1] != wanted:
            raise ValueError(f"{name} must be uint8 (R, {wanted})")
        by_triton = self.kernel == "triton"
        if records.device != self.device and not (by_triton and records.is_cpu):  # pinned memory
            raise ValueError(f"{name} must be on {self.device}, not {records.device}")
        if not records.is_contiguous():
            raise ValueError(f"{name} must be contiguous")
        if by_triton and word > 1 and triton_gather.address_of(records) % word:
            raise ValueError(f"{name} must begin at a multiple of {word} bytes")

    def _current(self) -> AbstractContextManager[Any]:
        """Make the device the current one, where Triton launches; mostly it is."""
        if self.device.type != "cuda" or torch.cuda.current_device() == self.device.index:
            return nullcontext()
        return torch.cuda.device(self.device)

    def _tried(self) -> str | None:
        """Start Triton's kernel for a row; return why that fails, or None."""
        records = torch.zeros((1, self.spec.record_bytes), dtype=torch.uint8, device=self.device)
        out = torch.empty((1, self._width), dtype=self.dtype, device=self.device)
        bad = torch.full((1,), NOT_BAD, dtype=torch.int64, device=self.device)
        ids = torch.zeros(1, dtype=torch.int64, device=self.device)
        try:
            with self._current():
                self._launch(records, ids, 1.0, out, None, bad, 1)
        except Exception as error:  # whatever it is: of Triton, its compiler, the driver
            said = f"{type(error).__name__}: {error}".splitlines()
            return f"Triton's kernel does not start here: {said[0]}"
        return None
