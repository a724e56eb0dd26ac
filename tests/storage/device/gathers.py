"""Random records gathered by a `Gathering`, and held against the plain decoder, bit for bit."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.errors import ConfigError
from engramctl.storage.device.bad_ids import NOT_BAD
from engramctl.storage.device.gathering import Gathering
from engramctl.storage.record.codecs import decode
from engramctl.storage.record.dtypes import DTYPES
from engramctl.storage.record.record import RecordSpec

POISON = -3.0e38
COUNTS = (65, 1, 64, 63, 7, 0)
# rows whose records are no whole number of 16 bytes, of 8, of 2; no power of two; one of two groups
ROW_DIMS = (1, 33, 32, 96, 40, 256)
_EDGES = np.array([0, 1, 0x7C, 0x7E, 0x7F, 0x80, 0xFC, 0xFE, 0xFF], np.uint8)
_BITS = {torch.float32: torch.int32, torch.bfloat16: torch.int16, torch.uint8: torch.uint8}


@dataclass
class Case:
    """One gather: what is read, and how."""

    spec: RecordSpec
    records: NDArray[np.uint8]
    row_ids: torch.Tensor
    targets: torch.Tensor | None
    num_rows: int
    scale: float

    @property
    def kept(self) -> torch.Tensor:
        """Which ids are not left out."""
        everywhere = torch.ones(len(self.row_ids), dtype=torch.bool)
        return everywhere if self.targets is None else self.targets >= 0

    @property
    def places(self) -> torch.Tensor:
        """The output rows of those."""
        return (torch.arange(len(self.row_ids)) if self.targets is None else self.targets)[
            self.kept
        ].long()

    @property
    def is_row(self) -> torch.Tensor:
        """Which ids are rows."""
        return (self.row_ids >= 0) & (self.row_ids < self.num_rows)


def specs(row_dims: tuple[int, ...] = ROW_DIMS) -> list[RecordSpec]:
    """Every dtype with every row_dim that it can have."""
    found = []
    for dtype in DTYPES:
        for row_dim in row_dims:
            try:
                found.append(RecordSpec(dtype, row_dim))
            except ConfigError:  # no whole number of its blocks
                continue
    return found


def made(spec: RecordSpec, seed: int, count: int, *, bad: bool, rows: int = 40) -> Case:
    """Any bytes, the odd ones often; duplicates, the first and the last row; ids of either type.

    Targets of every second case that has some leave ids out.
    """
    random = np.random.default_rng(seed)
    records = random.integers(0, 256, (rows, spec.record_bytes), dtype=np.uint8)
    edges = random.choice(_EDGES, records.shape)
    records = np.where(random.random(records.shape) < 0.3, edges, records)
    num_rows = max(1, rows - 3)  # records behind them are no rows
    ids = random.integers(0, num_rows, count)
    ids[: 2 * (count // 3) : 3] = 0
    ids[count // 2 :: 7] = num_rows - 1
    if bad and count:
        wrong = random.choice([-1, -(2**31), num_rows, 2**31 - 1], count)
        ids = np.where(random.random(count) < 0.2, wrong, ids)
    kind = (np.int64, np.int32)[seed % 2]
    targets = None
    if seed % 3 == 0:
        places = random.permutation(count + 5)[:count]
        left_out = (random.random(count) < 0.3) & (seed % 6 == 0)
        targets = torch.from_numpy(np.where(left_out, -1, places).astype(kind))
    scale = float(np.float32(random.lognormal()))
    return Case(spec, records, torch.from_numpy(ids.astype(kind)), targets, num_rows, scale)


def expected(case: Case, dtype: torch.dtype) -> torch.Tensor:
    """What the plain decoder has; NaN, or zeros as bytes, of ids that are no rows."""
    safe = torch.where(case.is_row, case.row_ids, 0).numpy()
    if dtype is torch.uint8:
        return torch.from_numpy(case.records[safe] * case.is_row.numpy()[:, None])
    values = torch.from_numpy(decode(case.spec, case.records[safe], case.scale))
    return torch.where(case.is_row[:, None], values, torch.nan).to(dtype)


def compared(gathering: Gathering, case: Case) -> str:
    """Gather; say "same", or what differs. Rows that no target names must stay as they were."""
    device, dtype, count = gathering.device, gathering.dtype, len(case.row_ids)
    right = expected(case, dtype)[case.kept]
    fill = 0xA5 if dtype is torch.uint8 else POISON
    room = count if case.targets is None else count + 5
    out = torch.full((room, right.shape[1]), fill, dtype=dtype, device=device)
    flag = torch.full((1,), NOT_BAD, dtype=torch.int64, device=device)
    targets = None if case.targets is None else case.targets.to(device)
    gathering.gather(
        torch.from_numpy(case.records).to(device), case.row_ids.to(device), case.scale, out,
        targets=targets, bad=flag, num_rows=case.num_rows,
    )  # fmt: skip
    found = out.cpu()
    first = next(iter((~case.is_row & case.kept).nonzero().flatten().tolist()), NOT_BAD)
    if int(flag) != first:
        return f"first bad id at {int(flag)}, not {first}"
    at = case.places
    left = torch.ones(room, dtype=torch.bool)
    left[at] = False
    if bool((found[left] != fill).any()):
        return "other rows were written to"
    found, number = found[at], ~right.isnan()
    if not torch.equal(found.isnan(), ~number):
        return f"NaN at {(found.isnan() == number).nonzero()[0].tolist()}"
    bits = _BITS[dtype]
    differ = (found.view(bits) != right.view(bits)) & number
    if bool(differ.any()):
        place = tuple(differ.nonzero()[0].tolist())
        return f"{found[place]} in place of {right[place]} at {place}"
    return "same"


def copied(gathering: Gathering, case: Case) -> str:
    """Take records out with `copy`, put them elsewhere; say "same", or what differs."""
    device, count = gathering.device, len(case.row_ids)
    records = torch.from_numpy(case.records).to(device)
    room = count if case.targets is None else count + 5
    taken = torch.full((room, records.shape[1]), 0xA5, dtype=torch.uint8, device=device)
    targets = None if case.targets is None else case.targets.to(device)
    gathering.copy(records, case.row_ids.to(device), taken, targets=targets)
    is_row = (case.row_ids >= 0) & (case.row_ids < len(records))
    ids = torch.where(is_row, case.row_ids, 0).numpy()
    right = torch.from_numpy(case.records[ids] * is_row.numpy()[:, None])
    whole = torch.full((room, records.shape[1]), 0xA5, dtype=torch.uint8)
    whole[case.places] = right[case.kept]
    if not torch.equal(taken.cpu(), whole):
        return "other records taken"
    cache = torch.full((room + 3, records.shape[1]), 0x5A, dtype=torch.uint8, device=device)
    slots = torch.from_numpy(np.random.default_rng(0).permutation(room + 3)[:count].copy())
    slots = slots.to(case.row_ids.dtype)
    gathering.put(cache, slots.to(device), right.to(device))
    whole = torch.full((room + 3, records.shape[1]), 0x5A, dtype=torch.uint8)
    whole[slots.long()] = right
    return "same" if torch.equal(cache.cpu(), whole) else "other records put"
