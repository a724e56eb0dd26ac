"""The compiled codecs give every bit that the plain ones give."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.errors import FormatError
from engramctl.storage.record import codecs, fast_codecs
from engramctl.storage.record.dtypes import BY_NAME, DTYPES
from engramctl.storage.record.losses import HeadError
from engramctl.storage.record.record import RecordSpec, e4m3_values
from tests.storage.tables import POISON

ROW_DIM = 64


def any_floats(seed: int, rows: int, dtype: str) -> np.ndarray:
    """Any bits at all, and values near the edges of small floats."""
    random = np.random.default_rng(seed)
    values = random.integers(0, 1 << 32, (rows, ROW_DIM), dtype=np.uint32).view(np.float32)
    near = np.ldexp(random.choice([1, 1.0625, 1.125, 1.9375, 448, 464, 0], (rows, ROW_DIM)),
                    random.integers(-20, 20, (rows, 1)))  # fmt: skip
    values = np.where(random.random((rows, 1)) < 0.5, values, near.astype(np.float32))
    facts = BY_NAME[dtype]
    most = np.nextafter(np.float32(facts.limit), np.float32(0))
    fitting = np.where(np.isfinite(values), np.clip(values, -most, most), 0)
    values = np.where(np.isfinite(values), fitting, values if facts.holds_non_finite else 0)
    return np.ascontiguousarray(values, np.float32)


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    rows=st.integers(1, 9),
    table_scale=st.sampled_from([None, 1.0, 0.003, 3.0e-5, 77.7]),
)
def test_records_are_those_of_the_plain_encoder(
    dtype: str, seed: int, rows: int, table_scale: float | None
) -> None:
    spec = RecordSpec(dtype, ROW_DIM)
    values = any_floats(seed, rows, dtype)
    out = np.full((rows, spec.record_bytes), POISON, np.uint8)
    fast_codecs.encode(spec, values, table_scale, out)
    assert np.array_equal(out, codecs.encode(spec, values, table_scale))


@pytest.mark.parametrize("dtype", ["f8_e4m3", "f8_e4m3_scalar"])
@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), table_scale=st.sampled_from([None, 0.003, 77.7]))
def test_values_are_those_of_the_plain_decoder(
    dtype: str, seed: int, table_scale: float | None
) -> None:
    spec = RecordSpec(dtype, ROW_DIM)
    records = np.random.default_rng(seed).integers(0, 256, (9, spec.record_bytes), dtype=np.uint8)
    found = fast_codecs.decode(spec, records, table_scale)
    assert np.array_equal(found, codecs.decode(spec, records, table_scale), equal_nan=True)


def test_every_e4m3_tie_and_neighbour_is_rounded_as_the_plain_way_does() -> None:
    spec = RecordSpec("f8_e4m3_scalar", ROW_DIM)
    sizes = e4m3_values()[:127].astype(np.float64)
    middles = (sizes[1:] + sizes[:-1]) / 2
    edges = np.concatenate([sizes, middles, [464, 465, np.inf]]).astype(np.float32)
    all_edges = np.concatenate(
        [edges, np.nextafter(edges, np.float32(0)), np.nextafter(edges, 999)]
    )
    all_edges = all_edges[~(np.isfinite(all_edges) & (all_edges >= spec.facts.limit))]
    both = np.concatenate([all_edges, -all_edges])
    values = np.resize(both, (-(-len(both) // ROW_DIM), ROW_DIM)).astype(np.float32)
    out = np.full(values.shape, POISON, np.uint8)
    fast_codecs.encode(spec, values, None, out)
    assert np.array_equal(out, codecs.encode(spec, values, None))


def test_what_is_not_finite_is_refused_where_a_dtype_cannot_hold_it() -> None:
    spec = RecordSpec("int8", ROW_DIM)
    values = np.zeros((2, ROW_DIM), np.float32)
    values[1, 5] = np.nan
    with pytest.raises(FormatError, match="not finite"):
        fast_codecs.encode(spec, values, None, np.empty((2, spec.record_bytes), np.uint8))


def test_errors_are_the_plain_sums() -> None:
    random = np.random.default_rng(0)
    before, after = random.normal(size=(2, 50, 64)).astype(np.float32)
    error = HeadError()
    error.add(before[:20], after[:20])
    error.add(before[20:], after[20:])
    x, y = before.astype(np.float64), after.astype(np.float64)
    assert error.values == x.size
    assert error.largest == np.abs(y - x).max()
    for found, wanted in [
        (error.squares, ((y - x) ** 2).sum()), (error.dot, (x * y).sum()),
        (error.before, (x * x).sum()), (error.after, (y * y).sum()),
    ]:  # fmt: skip
        assert found == pytest.approx(wanted, rel=1e-12)
