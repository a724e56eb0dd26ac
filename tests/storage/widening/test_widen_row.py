"""Rows as the kernels widen them are the plain decoder's, by row id and by address."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from engramctl.storage.io.gather import gather, widen
from engramctl.storage.record.codecs import decode
from engramctl.storage.record.dtypes import BY_NAME, DTYPES
from engramctl.storage.record.record import RecordSpec
from tests.helpers.row_maps import map_of, random_records, same

POISON = 777.0
OUTPUTS = [torch.bfloat16, torch.float32]


@pytest.mark.parametrize("out_dtype", OUTPUTS)
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("blocks", [1, 2, 33, 160])
def test_rows_of_any_bytes_are_the_plain_decoders(
    dtype: str, blocks: int, out_dtype: torch.dtype
) -> None:
    scale = 0.0037 if BY_NAME[dtype].table_scale else None
    record, rows = random_records(dtype, blocks, 300, blocks)
    wanted = decode(record, rows, scale)
    ids = np.random.default_rng(1).integers(0, 300, 500)
    out = torch.full((500, record.row_dim), POISON, dtype=out_dtype)
    row_map = map_of(record, rows, scale)
    gather(ids, row_map, out)
    assert same(out, wanted[ids])
    out.fill_(POISON)
    weights = rows.ctypes.data + ids * record.record_bytes
    places = np.stack([weights, weights + record.weight_bytes], axis=1)
    order = np.random.default_rng(2).permutation(500)
    assert widen(places[order], order, rows, row_map, out) == -1
    assert same(out, wanted[ids])


@pytest.mark.parametrize("dtype", ["f8_e4m3", "f8_e4m3_scalar", "f16", "nvfp4"])
def test_every_pattern_of_bits_is_widened(dtype: str) -> None:
    """All values against all scales; all of float16."""
    if dtype == "f16":
        record = RecordSpec(dtype, 256)
        rows = np.arange(1 << 16, dtype=np.uint16).view(np.uint8).reshape(256, 512)
    else:
        record = RecordSpec(dtype, 256)
        rows = np.zeros((256, record.record_bytes), np.uint8)
        rows[:, : record.weight_bytes] = np.arange(record.weight_bytes)
        rows[:, record.weight_bytes :] = np.arange(256)[:, None]
    scale = 1.7e-3 if record.facts.table_scale else None
    for out_dtype in OUTPUTS:
        out = torch.full((256, 256), POISON, dtype=out_dtype)
        gather(np.arange(256), map_of(record, rows, scale), out)
        assert same(out, decode(record, rows, scale))


def test_a_processor_without_wide_vectors_gives_the_same_rows(tmp_path: Path) -> None:
    """Its blocks are computed value by value, not chosen from a table of outputs."""
    plain = {"NUMBA_CPU_NAME": "generic", "NUMBA_CPU_FEATURES": ""}
    plain["NUMBA_CACHE_DIR"] = str(tmp_path)
    tests = f"{__file__}::test_rows_of_any_bytes_are_the_plain_decoders"
    words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests]
    words += ["-k", "33- and out_dtype0"]
    done = subprocess.run(words, env=os.environ | plain, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:]
    assert f"{len(DTYPES)} passed" in done.stdout
