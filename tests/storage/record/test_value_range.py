"""No finite value comes back as NaN or as infinity, whatever the dtype: it is stored or refused."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engramctl.errors import ConfigError, FormatError
from engramctl.storage.format.geometry import Layout
from engramctl.storage.record import codecs, fast_codecs
from engramctl.storage.record.codecs import decode, table_scale_for
from engramctl.storage.record.dtypes import BY_NAME, DTYPES
from engramctl.storage.record.record import RecordSpec
from engramctl.storage.writing.convert import ValueRows
from engramctl.storage.writing.seeded_rows import seeded_rows
from engramctl.storage.writing.seeded_values import RowInit
from tests.conftest import RunCli
from tests.storage.tables import POISON

ROW_DIM = 32
FINITE = float(np.finfo(np.float32).max)
floats = st.floats(width=32, allow_nan=False, allow_infinity=False)
edges = st.sampled_from(
    [0.0, -0.0, 1e-45, -1e-45, 1.2e-38, 6e-8, 65519.0, 65520.0, 458_639.0, 1e30, FINITE, -FINITE]
)


def encoded(
    spec: RecordSpec, values: NDArray[np.float32]
) -> tuple[NDArray[np.uint8], float | None]:
    """Encode both ways; they refuse together, or give the same bytes."""
    scale = table_scale_for(spec, float(np.nanmax(np.abs(values))))
    out = np.full((len(values), spec.record_bytes), POISON, np.uint8)
    try:
        plain = codecs.encode(spec, values, scale)
    except FormatError:
        with pytest.raises(FormatError):
            fast_codecs.encode(spec, values, scale, out)
        raise
    fast_codecs.encode(spec, values, scale, out)
    assert np.array_equal(out, plain)
    return out, scale


@pytest.mark.parametrize("dtype", DTYPES)
@settings(max_examples=150)
@given(
    few=st.lists(st.one_of(floats, edges), min_size=1, max_size=6),
    power=st.integers(-149, 127),
)
def test_a_finite_value_is_refused_or_comes_back_finite(
    dtype: str, few: list[float], power: int
) -> None:
    spec = RecordSpec(dtype, ROW_DIM)
    first = np.resize(np.array(few, np.float32), (1, ROW_DIM))
    second = np.ldexp(np.linspace(-1, 1, ROW_DIM), power).astype(np.float32)[None]
    for values in (first, second, -first, np.concatenate([first, second])):
        try:
            records, scale = encoded(spec, np.ascontiguousarray(values))
        except FormatError:
            assert np.abs(values).max() >= spec.facts.limit
        else:
            assert np.isfinite(decode(spec, records, scale)).all()
            assert np.isfinite(fast_codecs.decode(spec, records, scale)).all()


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("rest", [0.0, 1.0])
def test_the_largest_value_below_the_limit_is_stored_and_the_limit_is_not(
    dtype: str, sign: int, rest: float
) -> None:
    spec = RecordSpec(dtype, ROW_DIM)
    limit = np.float32(min(spec.facts.limit, np.inf))
    most = np.nextafter(limit, np.float32(0))
    values = np.full((3, ROW_DIM), -sign * rest * most, np.float32)
    values[1, 7] = sign * most
    records, scale = encoded(spec, values)
    back = decode(spec, records, scale)
    assert np.isfinite(back).all()
    assert back[1, 7] == pytest.approx(values[1, 7], rel=0.15)
    if np.isfinite(limit):
        values[1, 7] = sign * limit
        with pytest.raises(FormatError, match="too large") as caught:
            encoded(spec, values)
        assert (caught.value.facts["row"], caught.value.facts["column"]) == (1, 7)
        assert caught.value.facts["found"] == sign * limit


@pytest.mark.parametrize("dtype", [one for one in DTYPES if BY_NAME[one].holds_non_finite])
def test_nan_beside_values_that_fit_is_kept(dtype: str) -> None:
    spec = RecordSpec(dtype, ROW_DIM)
    values = np.ones((1, ROW_DIM), np.float32)
    values[0, 3] = np.nan
    records, scale = encoded(spec, values)
    assert np.flatnonzero(np.isnan(decode(spec, records, scale))).tolist() == [3]
    values[0, 9] = np.nextafter(np.float32(spec.facts.limit), np.float32(0))
    encoded(spec, values)


def test_the_message_names_layer_row_and_value() -> None:
    spec = RecordSpec("int4", ROW_DIM)

    def values(layer: int, row: int, out: NDArray[np.float32]) -> None:
        out[:] = 1
        out[np.arange(row, row + len(out)) == 5005, 4] = 500_000

    rows = ValueRows(values, spec, {}, {3: [(0, 9000)]})
    layout = Layout.of("packed", spec)
    out = np.empty(9000 * spec.record_bytes, np.uint8)
    with pytest.raises(FormatError, match="too large to be stored as int4") as caught:
        rows.fill(layout, 3, "records", 0, 9000, out)
    assert caught.value.facts == {
        "layer": 3, "row": 5005, "column": 4, "found": 500_000.0,
        "expected": "below 458,640 in size",
    }  # fmt: skip


@pytest.mark.parametrize("dtype", ["f16", "int4", "int4_affine", "q8_0", "q4_0", "iq4_nl"])
def test_seeded_values_beyond_a_dtype_are_refused_before_a_row_is_made(dtype: str) -> None:
    with pytest.raises(ConfigError, match="std 1e\\+07 gives values"):
        seeded_rows(RowInit(std=1e7), RecordSpec(dtype, ROW_DIM), [1], {})


def test_build_says_so_and_leaves_no_folder(run_cli: RunCli, tmp_path: Path) -> None:
    words = ("build", "--slots", 50, "--heads", 2, "--row-dim", 32, "-q", "--dtype", "f16")
    refused = run_cli(*words, "--std", 1e6, "-o", tmp_path / "out")
    assert refused.exit_code == 2
    assert "choose a smaller one, or --dtype bf16" in refused.stderr
    assert not list(tmp_path.iterdir())


def test_layout_refuses_what_its_dtype_cannot_hold(run_cli: RunCli, tmp_path: Path) -> None:
    words = ("build", "--slots", 50, "--heads", 2, "--row-dim", 32, "-q", "--dtype", "f32")
    assert run_cli(*words, "--std", 1e6, "-o", tmp_path / "t").exit_code == 0
    for dtype in ("int4", "f16"):
        out = ("-o", tmp_path / "s", "--force", "-q")
        refused = run_cli("layout", tmp_path / "t", "--dtype", dtype, *out)
        assert refused.exit_code == 1
        assert f"too large to be stored as {dtype}" in refused.stderr
        assert "layer" in refused.stderr
        assert not (tmp_path / "s").exists()
