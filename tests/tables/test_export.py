"""Exports hold every row of their source, in however many chunks it is read."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open

from engramctl.storage.reading.source import RecordReader
from engramctl.tables import export as exporting
from engramctl.tables.export import plan_export, run_export
from engramctl.tables.opened_rows import open_rows
from tests.helpers.small_table import small_table


@pytest.mark.parametrize("chunk_bytes", [1, 1000, 8 << 20])
def test_an_export_of_many_chunks_holds_every_row(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, chunk_bytes: int
) -> None:
    source = open_rows(small_table(tmp_path / "table").path)
    monkeypatch.setattr(exporting, "CHUNK_BYTES", chunk_bytes)
    told: list[int] = []
    plan = plan_export(source)
    run_export(source, plan, tmp_path / "out", progress=told.append)
    assert sum(told) == plan.total_bytes
    record = source.rows.record
    with (
        RecordReader(source.rows) as reader,
        safe_open(tmp_path / "out" / plan.files[0].name, "pt") as tensors,
    ):
        for layer in source.rows.layers:
            expected = np.empty((source.rows.num_rows(layer), record.record_bytes), np.uint8)
            reader.read(layer, 0, expected)
            tensor = tensors.get_tensor(f"layers.{layer}.engram.embed.weight")
            found = tensor.view(torch.uint8).numpy()
            assert np.array_equal(found, expected[:, : record.weight_bytes])


def test_raw_shards_of_many_chunks_are_those_of_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = open_rows(small_table(tmp_path / "table").path)
    plan = plan_export(source, "raw-shards", parts=3)
    run_export(source, plan, tmp_path / "whole")
    monkeypatch.setattr(exporting, "CHUNK_BYTES", 500)
    run_export(source, plan, tmp_path / "cut")
    for file in plan.files:
        data = (tmp_path / "cut" / file.name).read_bytes()
        assert data == (tmp_path / "whole" / file.name).read_bytes()
        assert len(data) == file.num_bytes
