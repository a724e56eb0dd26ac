"""Run by test_triton_gather in a process of its own: the kernels through Triton's interpreter.

Prints one line a case: its name, and "same" or what differs. `python -m ... SECTION`.
"""

import mmap
import sys
import warnings
from itertools import cycle

import numpy as np
import torch

from engramctl.hashing import PRESETS
from engramctl.storage.device import triton_gather
from engramctl.storage.device.bad_ids import NOT_BAD
from engramctl.storage.device.gathering import Gathering
from engramctl.storage.record.codecs import decode
from engramctl.storage.record.record import RecordSpec
from tests.storage.device import gathers

CPU = torch.device("cpu")


def rows() -> None:
    """Every dtype, bfloat16 and float32, small rows of any length; few and many at once."""
    for seed, spec in enumerate(gathers.specs()):
        for dtype in (torch.bfloat16, torch.float32):
            triton_gather.FEW_PROGRAMS = 2048 if seed % 4 == 0 else 2
            case = gathers.made(spec, seed, gathers.COUNTS[seed % 6], bad=seed % 5 != 0)
            gathering = Gathering(spec, CPU, dtype, "triton")
            print(f"{spec} {dtype}, {seed}:", gathers.compared(gathering, case))


def presets() -> None:
    """The rows of every preset, in every dtype that they can be stored in."""
    row_dims = tuple(sorted({preset.row_dim for preset in PRESETS.values()}))
    kinds = cycle((torch.bfloat16, torch.float32))
    triton_gather.FEW_PROGRAMS = 2
    for seed, spec in enumerate(gathers.specs(row_dims)):
        case = gathers.made(spec, seed, 9, bad=True)
        gathering = Gathering(spec, CPU, next(kinds), "triton")
        print(f"{spec} {gathering.dtype}, {seed}:", gathers.compared(gathering, case))
    for preset in PRESETS.values():
        assert RecordSpec(preset.dtype, preset.row_dim).row_dim in row_dims


def records() -> None:
    """Records as they are: by `gather` of uint8, out with `copy`, back with `put`."""
    names = ("f8_e4m3", "int8", "int8_f16", "q8_0", "q4_0", "bf16")
    seed = 0
    for name in names:
        for row_dim in (32, 96, 256):
            spec = RecordSpec(name, row_dim)
            for count in (65, 0, 1):
                triton_gather.FEW_PROGRAMS = 2048 if count == 1 else 2
                seed += 1
                case = gathers.made(spec, seed, count, bad=True)
                gathering = Gathering(spec, CPU, torch.uint8, "triton")
                print(f"{spec} as stored, {seed}:", gathers.compared(gathering, case))
                print(f"{spec} copied, {seed}:", gathers.copied(gathering, case))


def addresses() -> None:
    """Rows beyond 2^31 and 2^32 bytes, of memory that is there only where it is touched."""
    spec = RecordSpec("f8_e4m3", 256)
    num_rows = (6 << 30) // spec.record_bytes
    space = mmap.mmap(-1, 6 << 30, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
    everything = np.frombuffer(space, np.uint8)[: num_rows * spec.record_bytes]
    table = everything.reshape(num_rows, spec.record_bytes)
    ids = np.array([0, 1 << 23, (1 << 31) // 264 + 1, (1 << 32) // 264 + 1, num_rows - 1, num_rows])
    random = np.random.default_rng(0)
    table[ids[:-1]] = random.integers(0, 127, (len(ids) - 1, spec.record_bytes), dtype=np.uint8)
    right = torch.from_numpy(decode(spec, table[ids[:-1]]))
    # the interpreter copies whole storages, so it is shown the first row alone
    first = torch.from_numpy(table[:1])
    for kind in (torch.int32, torch.int64):
        out = torch.full((len(ids), 256), gathers.POISON)
        bad = torch.full((1,), NOT_BAD)
        triton_gather.gather(
            triton_gather.form_of(spec), first, torch.from_numpy(ids).to(kind), 1.0, out, None,
            bad, num_rows,
        )  # fmt: skip
        same = torch.equal(out[:-1], right) and bool(out[-1].isnan().all())
        print(f"far rows, {kind}:", "same" if same and int(bad) == len(ids) - 1 else "other rows")
        raw = torch.full((len(ids), 264), 0xA5, dtype=torch.uint8)
        triton_gather.copy(
            first, torch.from_numpy(ids).to(kind), raw, None, None, len(ids), num_rows
        )
        same = np.array_equal(raw[:-1].numpy(), table[ids[:-1]]) and not bool(raw[-1].any())
        print(f"far records, {kind}:", "same" if same else "other records")


if __name__ == "__main__":
    warnings.simplefilter("ignore", RuntimeWarning)  # numpy's, of infinities and NaN
    {one.__name__: one for one in (rows, presets, records, addresses)}[sys.argv[1]]()
