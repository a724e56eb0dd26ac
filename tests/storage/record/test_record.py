import math
import struct
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.errors import ConfigError
from engramctl.storage.record.codecs import decode, encode
from engramctl.storage.record.dtypes import DTYPES
from engramctl.storage.record.record import (
    RecordSpec,
    e4m3_values,
    e8m0_at_least,
    e8m0_values,
    to_bf16_bits,
    to_e4m3_bytes,
)
from tests.conftest import golden

anything = st.floats(allow_nan=True, allow_infinity=True, width=64)


@pytest.mark.golden
def test_all_e4m3_and_e8m0_values_are_the_published_ones() -> None:
    fp8 = golden("engram_v41_forward")["fp8"]
    for value, expected in zip(e4m3_values().tolist(), fp8["e4m3fn"], strict=True):
        if expected is None:
            assert math.isnan(value)
        else:
            assert (value, math.copysign(1, value)) == (expected, math.copysign(1, expected))
    for value, expected in zip(e8m0_values().tolist(), fp8["e8m0_log2"], strict=True):
        assert math.isnan(value) if expected == "NaN" else value == math.ldexp(1.0, expected)


def dequant_checks() -> list[Any]:
    """All dequantised rows of the golden file, each with its configuration's row_dim."""
    return [
        pytest.param(config["config"]["engram_head_dim"], check, id=f"{config['name']}-{i}")
        for config in golden("engram_v41_small")["configs"]
        for i, check in enumerate(config["dequant_checks"])
    ]


@pytest.mark.golden
@pytest.mark.parametrize(("row_dim", "check"), dequant_checks())
def test_dequantised_rows_have_the_published_bf16_bits(row_dim: int, check: dict[str, Any]) -> None:
    layer, row = check["layer"], check["row"]
    # the file's own table formula, see its `note`
    weights = [[(row * 131 + j * 17 + 7 * layer) % 127 for j in range(row_dim)]]
    scales = [[120 + (row + b + layer) % 13 for b in range(row_dim // 32)]]
    assert scales[0] == check["scale_bytes"]
    spec = RecordSpec("f8_e4m3", row_dim)
    values = decode(spec, np.concatenate([weights, scales], axis=1).astype(np.uint8))
    assert to_bf16_bits(values)[0].tolist() == check["bf16_bits"]


def nearest(value: float, table: list[float]) -> set[float]:
    """Every table entry at the least distance, found exactly."""
    from fractions import Fraction

    distances = {entry: abs(Fraction(entry) - Fraction(value)) for entry in table}
    least = min(distances.values())
    return {entry for entry, distance in distances.items() if distance == least}


@settings(deadline=None)
@given(st.floats(-500, 500) | st.floats(-0.03, 0.03) | st.floats(width=16, allow_nan=False))
def test_e4m3_rounds_to_the_nearest_value_and_ties_to_even(value: float) -> None:
    byte = int(to_e4m3_bytes([value])[0])
    table = e4m3_values().tolist()
    finite = [entry for entry in table if not math.isnan(entry)]
    if math.isinf(value):
        assert byte & 127 == 126
        return
    best = nearest(value, finite)
    assert table[byte] in best
    if len(best) == 2:
        assert byte % 2 == 0
    assert math.copysign(1, table[byte]) == math.copysign(1, value)


@settings(deadline=None)
@given(anything)
def test_bf16_rounds_once_from_float64(value: float) -> None:
    bits = int(to_bf16_bits([value])[0])
    if math.isnan(value):
        assert bits & 0x7FFF == 0x7FC0
        return
    found = struct.unpack("<f", struct.pack("<I", bits << 16))[0]
    if math.isinf(found):
        assert abs(value) >= 255.5 * 2.0**120
        return
    around = [b for b in (bits - 1, bits, bits + 1) if (b ^ bits) & 0x8000 == 0 and b >= 0]
    table = {b: struct.unpack("<f", struct.pack("<I", b << 16))[0] for b in around}
    table = {b: v for b, v in table.items() if math.isfinite(v)}
    best = nearest(value, list(table.values()))
    assert found in best
    if len(best) == 2:
        assert bits % 2 == 0


@settings(deadline=None)
@given(st.floats(width=32, allow_nan=True))
def test_f32_and_bf16_bits_of_exact_values_survive(value: float) -> None:
    spec = RecordSpec("f32", 1)
    back = decode(spec, encode(spec, np.array([[value]], np.float32)))
    assert np.array_equal(back, np.array([[value]], np.float32), equal_nan=True)
    once = to_bf16_bits(np.array([value], np.float32))
    values = decode(RecordSpec("bf16", 1), once.view(np.uint8).reshape(1, -1))
    assert to_bf16_bits(values)[0].tolist() == once.tolist()


def test_every_e4m3_value_encodes_to_itself() -> None:
    assert (to_e4m3_bytes(e4m3_values()) & 127).tolist() == (np.arange(256) & 127).tolist()
    assert to_e4m3_bytes([1e9, -1e9, np.inf, -np.inf, 464.0, 465.0]).tolist() == [
        0x7E, 0xFE, 0x7E, 0xFE, 0x7E, 0x7E,
    ]  # fmt: skip


@settings(deadline=None)
@given(st.floats(2.0**-126, 2.0**126))
def test_a_scale_is_the_smallest_power_of_two_that_is_enough(size: float) -> None:
    byte = int(e8m0_at_least(size))
    assert 2.0 ** (byte - 127) >= size > 2.0 ** (byte - 128)


def test_a_v41_record_has_264_bytes() -> None:
    spec = RecordSpec("f8_e4m3", 256)
    assert (spec.weight_bytes, spec.scale_bytes, spec.record_bytes) == (256, 8, 264)
    assert RecordSpec("bf16", 7).record_bytes == 14
    assert RecordSpec("f32", 7).record_bytes == 28


@pytest.mark.parametrize("row_dim", [0, -32, 31, 65, 1 << 20])
def test_a_row_dim_that_does_not_fit_is_refused(row_dim: int) -> None:
    with pytest.raises(ConfigError, match="row_dim"):
        RecordSpec("f8_e4m3", row_dim)


def test_an_unknown_dtype_is_refused_with_the_known_ones() -> None:
    with pytest.raises(ConfigError, match="unknown dtype") as caught:
        RecordSpec("f8_e5m2", 32)
    assert all(name in str(caught.value.facts) for name in DTYPES)
