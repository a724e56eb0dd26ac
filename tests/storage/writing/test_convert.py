"""Converting records: the errors it tells are those that are there."""

import json
from pathlib import Path

import numpy as np
import pytest

from engramctl.storage.format.geometry import Layout
from engramctl.storage.reading.source import RecordReader
from engramctl.storage.reading.table import open_table
from engramctl.storage.record.codecs import decode, encode
from engramctl.storage.record.losses import Losses
from engramctl.storage.record.record import RecordSpec
from engramctl.storage.writing.convert import ValueRows, decoded, fitting_scale, piece_rows
from tests.storage.tables import POISON, make_plan, write

HEADS = ((0, 10), (10, 5000), (5000, 6000))


@pytest.mark.parametrize("dtype", ["f8_e4m3", "f8_e4m3_scalar", "int4", "nvfp4", "f32"])
def test_converted_records_and_errors_are_the_plain_ones(tmp_path: Path, dtype: str) -> None:
    rows, source, target = 6000, RecordSpec("bf16", 32), RecordSpec(dtype, 32)
    write(make_plan(dtype="bf16", rows={1: rows}), tmp_path / "table")
    table = open_table(tmp_path / "table")
    values = table.read_values(1, np.arange(rows))
    exact, layout = values.astype(np.float64), Layout.of("packed", target)
    with RecordReader(table) as reader:
        before = decoded(reader.read, source, lambda layer: None)
        scale = fitting_scale(before, target, 1, rows)
        converted = ValueRows(before, target, {1: scale}, {1: HEADS})
        found = np.full((rows, target.record_bytes), POISON, np.uint8)
        losses = Losses()
        for start in range(0, rows, 4500):
            out = found[start : start + 4500]
            remark = converted.fill(layout, 1, "records", start, len(out), out.reshape(-1))
            losses.told(json.loads(json.dumps(remark)))
        again = np.full((rows, target.scale_bytes), POISON, np.uint8)
        planar = Layout.of("planar", target)
        if target.scale_bytes:
            assert converted.fill(planar, 1, "scale", 0, rows, again.reshape(-1)) is None
    assert rows > piece_rows(32)
    wanted = encode(target, values, scale)
    assert np.array_equal(found, wanted)
    assert np.array_equal(again, wanted[:, target.weight_bytes :])
    after = decode(target, wanted, scale).astype(np.float64)
    for told, (start, stop) in zip(losses.to_dicts(), HEADS, strict=True):
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
        values = decoded(reader.read, table.record, table.table_scale)
        scale = fitting_scale(values, spec, 1, 50)
    assert scale == float(np.float32(largest / 448))
    assert np.abs(decode(spec, encode(spec, np.array([[largest]] * 32).T, scale), scale)).max() == (
        np.float32(448) * np.float32(scale)
    )
