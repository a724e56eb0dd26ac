import math
import re
from fractions import Fraction
from hashlib import sha256
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.errors import ConfigError
from engramctl.storage.format.geometry import Layout
from engramctl.storage.record.codecs import decode
from engramctl.storage.record.record import RecordSpec, e4m3_values, to_bf16_bits
from engramctl.storage.writing.seeded_rows import seeded_rows
from engramctl.storage.writing.seeded_values import RowFiller, RowInit
from tests.conftest import ROOT
from tests.storage.tables import POISON

MASK = (1 << 64) - 1
DOCS = ROOT / "docs" / "format.md"


def mix(x: int) -> int:
    z = (x + 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def quantile(index: int, std: float) -> float:
    return std * NormalDist().inv_cdf((index + 0.5) / 65536)


def index_of(seed: int, layer: int, row: int, j: int, row_dim: int) -> int:
    word = mix((mix((seed + layer) & MASK) + row * math.ceil(row_dim / 4) + j // 4) & MASK)
    return (word >> (16 * (j % 4))) & 0xFFFF


def scale_exponent(std: float) -> int:
    power = -200
    while Fraction(2) ** power < Fraction(quantile(65535, std) / 448):
        power += 1
    return power


def plain_f8(seed: int, layer: int, row: int, row_dim: int, std: float) -> bytes:
    """One f8 row in plain Python: nearest of the 256 values, ties to the even byte."""
    power = scale_exponent(std)
    table = [(byte, float(value)) for byte, value in enumerate(e4m3_values()) if value == value]
    out = []
    for j in range(row_dim):
        exact = quantile(index_of(seed, layer, row, j, row_dim), std) * 2.0**-power
        same_sign = [(b, v) for b, v in table if (b < 128) == (exact >= 0)]
        out.append(min(same_sign, key=lambda one: (abs(one[1] - exact), one[0] % 2))[0])
    return bytes(out) + bytes([power + 127] * (row_dim // 32))


def filled(
    spec: RecordSpec, form: str, init: RowInit, layer: int, row: int, num_rows: int
) -> np.ndarray:
    layout = Layout.of(form, spec)
    parts = []
    for part in layout.parts:
        out = np.full(layout.data_bytes(part, num_rows), POISON, np.uint8)
        seeded_rows(init, spec, [layer], {layer: ((0, 1 << 62),)})(
            layout, layer, part, row, num_rows, out
        )
        if part != "records":
            parts.append(out.reshape(num_rows, -1))
            continue
        parts.append(
            np.concatenate(
                [b.reshape(-1, spec.record_bytes) for b, _ in layout.blocks(out, num_rows)]
            )
        )
    return np.concatenate(parts, axis=1)


@settings(max_examples=15, deadline=None)
@given(
    seed=st.integers(0, (1 << 63) - 1),
    layer=st.integers(0, 99),
    row=st.integers(0, 1 << 40),
    std=st.sampled_from([0.02, 1.0, 0.3]),
    form=st.sampled_from(["planar", "packed", "paged"]),
)
def test_f8_rows_are_the_plain_python_ones(
    seed: int, layer: int, row: int, std: float, form: str
) -> None:
    spec, init = RecordSpec("f8_e4m3", 32), RowInit(seed=seed, std=std)
    rows = filled(spec, form, init, layer, row, 2)
    for i in range(2):
        assert rows[i].tobytes() == plain_f8(seed, layer, row + i, 32, std)


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, (1 << 63) - 1),
    row_dim=st.integers(1, 13),
    row=st.integers(0, 1 << 40),
    dtype=st.sampled_from(["bf16", "f32"]),
    form=st.sampled_from(["planar", "packed", "paged"]),
)
def test_bf16_and_f32_rows_are_the_plain_python_ones_for_any_row_dim(
    seed: int, row_dim: int, row: int, dtype: str, form: str
) -> None:
    spec = RecordSpec(dtype, row_dim)
    rows = filled(spec, form, RowInit(seed=seed), 3, row, 3)
    for i in range(3):
        exact = [quantile(index_of(seed, 3, row + i, j, row_dim), 0.02) for j in range(row_dim)]
        bits = to_bf16_bits(exact) if dtype == "bf16" else np.array(exact, np.float32)
        assert rows[i].tobytes() == bits.tobytes()


@pytest.mark.parametrize("form", ["planar", "packed", "paged"])
@pytest.mark.parametrize("dtype", ["f8_e4m3", "bf16", "f32"])
def test_zeros_are_zero_and_decode_to_zero(form: str, dtype: str) -> None:
    spec = RecordSpec(dtype, 64)
    rows = filled(spec, form, RowInit("zeros"), 1, 5, 100)
    values = decode(spec, rows)
    assert not rows[:, : spec.weight_bytes].any()
    assert np.array_equal(values, np.zeros((100, 64), np.float32))


@pytest.mark.parametrize("num_rows", [1, 31, 62, 63])
def test_unused_bytes_of_a_page_are_zero(num_rows: int) -> None:
    layout = Layout.of("paged", RecordSpec("f8_e4m3", 128))
    out = np.full(layout.data_bytes("records", num_rows), POISON, np.uint8)
    RowFiller(RowInit(), layout.record, 1).fill(layout, "records", 0, num_rows, out)
    used = np.zeros(out.size, bool)
    for row in range(num_rows):
        at = layout.row_offset("records", row)
        used[at : at + layout.record_bytes] = True
    assert not out[~used].any()


def test_values_have_the_standard_deviation_asked_for() -> None:
    spec = RecordSpec("f8_e4m3", 256)
    rows = filled(spec, "planar", RowInit(std=0.5), 1, 0, 2000)
    values = decode(spec, rows)
    assert abs(values.std() - 0.5) < 0.005
    assert abs(values.mean()) < 0.005


@pytest.mark.parametrize(
    "wrong", [{"kind": "uniform"}, {"seed": -1}, {"seed": 1 << 63}, {"std": 0.0}, {"std": math.nan}]
)
def test_an_init_that_cannot_be_made_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ConfigError):
        RowInit(**wrong)  # type: ignore[arg-type]


def test_the_worked_example_of_the_format_page_is_what_the_code_makes() -> None:
    text = DOCS.read_text()
    row = filled(RecordSpec("f8_e4m3", 256), "packed", RowInit(), 1, 7, 1)[0]
    found = re.search(r"first eight value bytes of the record are `([0-9a-f ]+)`", text)
    assert found is not None
    assert row[:8].tobytes().hex(" ") == found[1]
    found = re.search(r"its eight scale bytes are all `([0-9a-f]{2})`", text)
    assert found is not None
    assert set(row[256:].tolist()) == {int(found[1], 16)}
    for dtype in ("f8_e4m3", "bf16", "f32"):
        table = RowInit().value_table(RecordSpec(dtype, 32)).tobytes()
        assert f"| `{dtype}` | {len(table):,} | `{sha256(table).hexdigest()}` |" in text
