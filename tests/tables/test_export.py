"""Exports hold every row of their source, in however many chunks it is read."""

from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file

from engramctl.checkpoints import open_checkpoint
from engramctl.hashing import Scheme
from engramctl.hashing.released.buffers import is_buffer
from engramctl.storage.reading.source import RecordReader
from engramctl.tables import export as exporting
from engramctl.tables.export import plan_export, run_export
from engramctl.tables.opened_rows import open_rows
from tests.checkpoints import make
from tests.conftest import RunCli
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


def test_an_export_keeps_a_checkpoints_row_shards_and_constants(
    run_cli: RunCli, tmp_path: Path
) -> None:
    """Sixteen shards as released, and the constants that the model's own code loads."""
    make.qwen(tmp_path / "model", parts=12)
    for words, shards in (((), 12), (("--parts", 16), 16)):
        out = tmp_path / f"out{shards}"
        assert run_cli("export", tmp_path / "model", "-o", out, "-q", *words).exit_code == 0
        tensors: dict[str, torch.Tensor] = {}
        for path in sorted(out.glob("*.safetensors")):
            tensors |= load_file(path)
        assert sum(".shard_" in name for name in tensors) == shards
        scheme = open_checkpoint(tmp_path / "model").scheme
        assert isinstance(scheme, Scheme)
        place = "model.language_model.layers.1.ple.ple_embedding"
        heads = scheme.layer_hash(1).heads
        for name, numbers in (
            ("layer_multipliers", scheme.layer_hash(1).multipliers),
            ("ngram_heads_vocab_sizes", [head.modulus for head in heads]),
            ("ngram_heads_offsets", [head.offset for head in heads]),
        ):
            assert tensors[f"{place}.{name}"].tolist() == list(numbers)
        (out / "config.json").write_text((tmp_path / "model" / "config.json").read_text())
        assert run_cli("inspect", out, "-q").exit_code == 0  # the constants are compared


def test_an_export_adds_no_constants_to_a_checkpoint_without(
    run_cli: RunCli, tmp_path: Path
) -> None:
    make.qwen(tmp_path / "model")
    for path in (tmp_path / "model").glob("*.safetensors"):
        held = {name: one for name, one in load_file(path).items() if not is_buffer(name)}
        save_file(held, path)
    (tmp_path / "model" / "model.safetensors.index.json").unlink()
    assert run_cli("export", tmp_path / "model", "-o", tmp_path / "out", "-q").exit_code == 0
    names = [name for one in (tmp_path / "out").glob("*.safetensors") for name in load_file(one)]
    assert not any(map(is_buffer, names))
