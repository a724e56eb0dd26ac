"""Every dtype against libraries that are not ours, and every fast path against the plain one."""

from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.errors import FormatError
from engramctl.storage import open_store
from engramctl.storage.device.torch_codecs import widen
from engramctl.storage.reading.source import read_values
from engramctl.storage.record.codecs import E2M1_VALUES, decode, encode, table_scale_for
from engramctl.storage.record.dtypes import DTYPES
from engramctl.storage.record.float_scales import FLOAT_SCALED
from engramctl.storage.record.record import RecordSpec
from engramctl.storage.writing.seeded_values import RowInit
from tests.storage.tables import make_plan, write

GGML = {"q8_0": "Q8_0", "q4_0": "Q4_0", "iq4_nl": "IQ4_NL"}
# largest error of a value, as a share of the largest value of its block
COARSE = {"f32": 0, "f16": 2**-11, "bf16": 2**-8, "f8_e4m3": 1 / 16, "f8_e4m3_scalar": 1 / 16}
COARSE |= {"int8": 1 / 250, "int4": 1 / 13, "int4_affine": 1 / 14, "nvfp4": 1 / 5}
COARSE |= {f"int8_{kind}": 1 / 240 for kind in ("f16", "bf16")}
COARSE |= {f"int4_row{kind}": 1 / 13 for kind in ("", "_f16", "_bf16")}
COARSE |= {f"f8_e4m3_{kind}": 1 / 16 for kind in ("f32", "row", "row_bf16")}
COARSE |= {"q8_0": 1 / 200, "q4_0": 1 / 7, "iq4_nl": 1 / 6}


def random_records(dtype: str, rows: int, row_dim: int = 96) -> tuple[RecordSpec, np.ndarray]:
    """Any bytes, but for scales whose products leave float32 or are NaN."""
    spec = RecordSpec(dtype, row_dim)
    random = np.random.default_rng(rows)
    records = random.integers(0, 256, (rows, spec.record_bytes), dtype=np.uint8)
    if dtype in ("f32", "bf16", "f16", "int8", "int4", "int4_affine", *FLOAT_SCALED, *GGML):
        values = random.normal(size=(rows, row_dim)).astype(np.float32)
        records = encode(spec, values)
    if dtype == "f8_e4m3":
        records[:, spec.weight_bytes :] = random.integers(100, 150, (rows, spec.scale_bytes))
    return spec, records


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=40)
@given(seed=st.integers(0, 2**32), size=st.sampled_from([0.05, 1.0, 100.0]))
def test_values_come_back_as_near_as_the_dtype_allows(dtype: str, seed: int, size: float) -> None:
    spec = RecordSpec(dtype, 64)
    values = (np.random.default_rng(seed).normal(size=(3, 64)) * size).astype(np.float32)
    values[1] = 0
    scale = table_scale_for(spec, float(np.abs(values).max()))
    back = decode(spec, encode(spec, values, scale), scale)
    assert np.abs(back - values).max() <= COARSE[dtype] * np.abs(values).max() * 1.01
    assert not back[1].any()


@pytest.mark.parametrize("dtype", ["f32", "bf16", "f16", "f8_e4m3", "f8_e4m3_scalar"])
def test_encoding_what_was_decoded_gives_the_same_values(dtype: str) -> None:
    spec, records = random_records(dtype, 50)
    values = decode(spec, records, 0.25)
    again = decode(spec, encode(spec, values, 0.25), 0.25)
    assert np.array_equal(again, values, equal_nan=True)


def as_bytes(column: torch.Tensor) -> np.ndarray:
    return column[:, 0].contiguous().view(torch.uint8).numpy().reshape(len(column), -1)


def test_small_floats_are_those_of_torch() -> None:
    random = np.random.default_rng(0)
    values = np.concatenate([random.normal(size=5000), [448, -448, 464, 0, -0.0, 2**-9, 2**-10]])
    values = values.astype(np.float32)[:, None]
    tensor = torch.from_numpy(values)
    for dtype, theirs in (
        ("bf16", torch.bfloat16),
        ("f16", torch.float16),
        ("f8_e4m3_scalar", torch.float8_e4m3fn),
    ):
        spec = RecordSpec(dtype, 1)
        wanted = tensor.clamp(-448, 448).to(theirs) if "f8" in dtype else tensor.to(theirs)
        assert np.array_equal(encode(spec, values, 1.0), as_bytes(wanted))
        records = np.arange(256, dtype=np.uint8).repeat(spec.record_bytes).reshape(256, -1)
        exact = torch.from_numpy(records.copy()).view(theirs).to(torch.float32).numpy()
        assert np.array_equal(decode(spec, records, 1.0), exact, equal_nan=True)


@pytest.mark.parametrize("dtype", GGML)
def test_ggufs_types_decode_as_its_own_library_does(dtype: str) -> None:
    kind = getattr(gguf.GGMLQuantizationType, GGML[dtype])
    spec, records = random_records(dtype, 200)
    assert np.array_equal(decode(spec, records), gguf.quants.dequantize(records, kind))
    if dtype != "iq4_nl":  # whose encoder the library lacks
        values = np.random.default_rng(1).normal(size=(200, 96)).astype(np.float32)
        assert np.array_equal(encode(spec, values), gguf.quants.quantize(values, kind))


def test_nvfp4_is_its_definition_value_by_value() -> None:
    spec, records = random_records("nvfp4", 20)
    scale = np.float32(0.37)
    found = decode(spec, records, float(scale))
    for row, column in np.random.default_rng(2).integers(0, (20, 96), (200, 2)):
        byte = int(records[row, column // 2])
        code = byte >> 4 if column % 2 else byte & 15
        block = torch.tensor(records[row, 48 + column // 16]).view(torch.float8_e4m3fn).item()
        wanted = E2M1_VALUES[code] * (np.float32(block) * scale)
        assert found[row, column] == wanted or (np.isnan(wanted) and np.isnan(found[row, column]))


@pytest.mark.parametrize("dtype", DTYPES)
def test_torch_operations_widen_to_the_same_values(dtype: str) -> None:
    spec, records = random_records(dtype, 60)
    found = widen(spec, torch.from_numpy(records), 0.3).to(torch.float32).numpy()
    assert np.array_equal(found, decode(spec, records, 0.3), equal_nan=True)


@pytest.mark.parametrize("form", ["planar", "packed", "paged"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_tiers_read_what_the_plain_decoder_reads(tmp_path: Path, dtype: str, form: str) -> None:
    rows = 300
    spec = RecordSpec(dtype, 96)
    init = RowInit(seed=3)
    plan = make_plan(dtype=dtype, row_dim=96, form=form, rows={1: rows})
    plan.table_scales[1] = init.table_scale(spec)  # type: ignore[index]
    write(plan, tmp_path / "table", init=init)
    ids = np.random.default_rng(4).integers(0, rows, 777)
    for tier in ("host", "ssd"):
        with open_store(tmp_path / "table", tier=tier, dtype=torch.float32) as store:
            wanted = read_values(store.table, 1, ids)
            out = torch.full((777, 1, 96), float("nan"))
            assert np.array_equal(store.gather(1, ids[:, None], out)[:, 0].numpy(), wanted)
        with open_store(tmp_path / "table", tier=tier) as store:
            short = store.gather(1, ids[:, None])[:, 0]
            assert torch.equal(short, torch.from_numpy(wanted).to(torch.bfloat16))
    assert 0.01 < np.std(wanted) < 0.03


@pytest.mark.parametrize("dtype", ["int4", "int4_affine", "nvfp4", *FLOAT_SCALED, *GGML])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_is_refused_by_dtypes_without_it(dtype: str, bad: float) -> None:
    values = np.zeros((4, 32), np.float32)
    values[2, 5] = bad
    with pytest.raises(FormatError, match="not finite") as caught:
        encode(RecordSpec(dtype, 32), values, 1.0)
    facts: dict[str, Any] = dict(caught.value.facts)
    assert (facts["row"], facts["column"]) == (2, 5)
