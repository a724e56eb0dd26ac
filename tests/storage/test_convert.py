"""Converting records: the errors it tells are those that are there."""

from pathlib import Path

import numpy as np
import pytest

from engramctl.storage.codecs import decode, encode
from engramctl.storage.convert import PIECE_ROWS, Converter, fitting_scale
from engramctl.storage.reader import open_table
from engramctl.storage.record import RecordSpec
from engramctl.storage.source import RecordReader
from tests.storage.tables import POISON, make_plan, write

HEADS = ((0, 10), (10, 5000), (5000, 6000))


@pytest.mark.parametrize("dtype", ["f8_e4m3", "f8_e4m3_scalar", "int4", "nvfp4", "f32"])
def test_converted_records_and_errors_are_the_plain_ones(tmp_path: Path, dtype: str) -> None:
    rows, source, target = 6000, RecordSpec("bf16", 32), RecordSpec(dtype, 32)
    write(make_plan(dtype="bf16", rows={1: rows}), tmp_path / "table")
    table = open_table(tmp_path / "table")
    values = table.read_values(1, np.arange(rows))
    exact = values.astype(np.float64)
    with RecordReader(table) as reader:
        scale = fitting_scale(reader.read, source, None, target, 1, rows)
        converter = Converter(
            reader.read, source, target, lambda n: None, lambda n: scale, lambda n: HEADS
        )
        found = np.full((rows, target.record_bytes), POISON, np.uint8)
        for start in range(0, rows, 1700):
            converter.read(1, start, found[start : start + 1700])
        again = np.full_like(found, POISON)
        converter.read_again(1, 0, again)
    assert rows > PIECE_ROWS
    wanted = encode(target, values, scale)
    assert np.array_equal(found, wanted)
    assert np.array_equal(again, wanted)
    after = decode(target, wanted, scale).astype(np.float64)
    for told, (start, stop) in zip(converter.errors(), HEADS, strict=True):
        lost = after[start:stop] - exact[start:stop]
        assert told["values"] == (stop - start) * 32
        assert told["max_abs"] == np.abs(lost).max()
        assert told["rms"] == pytest.approx(float(np.sqrt((lost**2).mean())))
        dot = (after[start:stop] * exact[start:stop]).sum()
        norms = np.linalg.norm(after[start:stop]) * np.linalg.norm(exact[start:stop])
        assert told["cosine"] == pytest.approx(float(dot / norms))


def test_a_table_scale_lets_the_largest_value_just_fit(tmp_path: Path) -> None:
    write(make_plan(dtype="f32", rows={1: 50}), tmp_path / "table")
    table = open_table(tmp_path / "table")
    largest = np.abs(table.read_values(1, np.arange(50))).max()
    spec = RecordSpec("f8_e4m3_scalar", 32)
    with RecordReader(table) as reader:
        scale = fitting_scale(reader.read, table.record, None, spec, 1, 50)
    assert scale == float(np.float32(largest / 448))
    assert np.abs(decode(spec, encode(spec, np.array([[largest]] * 32).T, scale), scale)).max() == (
        np.float32(448) * np.float32(scale)
    )
