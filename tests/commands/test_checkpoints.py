"""From a checkpoint to shards, and back to files that take the original's place."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from engramctl.checkpoints.opening import open_checkpoint
from engramctl.storage import open_store
from engramctl.storage.files.safetensors_header import read_header
from tests.checkpoints import make
from tests.checkpoints.variants import v41
from tests.conftest import RunCli

MAKERS: dict[str, Callable[[Path], Any]] = {
    "deepseek-v41": lambda path: make.deepseek_v41(path),
    "qwen-ple": lambda path: make.qwen(path),
    "qwen-ple nvfp4": lambda path: make.qwen(path, "nvfp4"),
    "qwen-ple bf16": lambda path: make.qwen(path, "bfloat16"),
    "longcat": lambda path: make.longcat(path),
}


def tensors_of(folder: Path) -> dict[str, torch.Tensor]:
    found: dict[str, torch.Tensor] = {}
    for path in folder.glob("*.safetensors"):
        found |= load_file(path)
    return found


@pytest.mark.parametrize("name", MAKERS)
def test_a_checkpoint_comes_back_bit_for_bit(run_cli: RunCli, tmp_path: Path, name: str) -> None:
    model, shards, back = (tmp_path / one for one in ("model", "shards", "back"))
    MAKERS[name](model)
    result = run_cli("layout", model, "-o", shards, "--head-shards", 3)
    assert result.exit_code == 0, result.stderr
    result = run_cli("verify", shards, "--against", model)
    assert result.exit_code == 0, result.stderr
    result = run_cli("export", shards, "-o", back, "--parts", 4, "--json")
    assert result.exit_code == 0, result.stderr
    before, after = tensors_of(model), tensors_of(back)
    assert after
    for tensor, values in after.items():
        assert values.dtype == before[tensor].dtype
        assert torch.equal(
            values.reshape(-1).view(torch.uint8), before[tensor].reshape(-1).view(torch.uint8)
        )
    tables = {one for one in before if "embed" in one}
    assert set(after) == tables
    assert run_cli("layout", back, "-o", tmp_path / "no-config").exit_code == 2
    (back / "config.json").write_bytes((model / "config.json").read_bytes())
    assert run_cli("verify", shards, "--against", back).exit_code == 0


def test_raw_shards_come_back_too(run_cli: RunCli, tmp_path: Path) -> None:
    model, shards, raw = (tmp_path / one for one in ("model", "shards", "raw"))
    make.deepseek_v41(model)
    assert run_cli("layout", model, "-o", shards, "--tier", "host").exit_code == 0
    words = ("export", shards, "-o", raw, "--family", "raw-shards", "--parts", 3)
    assert run_cli(*words).exit_code == 0
    assert len(list(raw.rglob("*.done.json"))) == 6
    document = json.loads(run_cli("inspect", raw, "--json").stdout)
    assert (document["family"], document["dtype"]) == ("raw-shards", "f8_e4m3")
    scheme = tmp_path / "scheme.json"
    manifest = json.loads((shards / "manifest.json").read_text())
    scheme.write_text(json.dumps(manifest["scheme"]))
    again = ("layout", raw, "--scheme", scheme, "-o", tmp_path / "again")
    assert run_cli(*again).exit_code == 0
    assert run_cli("verify", tmp_path / "again", "--against", shards).exit_code == 0


def test_a_laid_out_checkpoint_is_read_as_its_own_library_reads_it(
    run_cli: RunCli, tmp_path: Path
) -> None:
    make.deepseek_v41(tmp_path / "model")
    assert run_cli("layout", tmp_path / "model", "-o", tmp_path / "shards").exit_code == 0
    tensors = tensors_of(tmp_path / "model")
    name = "layers.14.engram.embed"
    scales = tensors[f"{name}.scale"].to(torch.float32).repeat_interleave(32, dim=1)
    values = tensors[f"{name}.weight"].to(torch.float32) * scales
    ids = np.random.default_rng(0).integers(0, len(values), (40, 24))
    with open_store(tmp_path / "shards", tier="ssd", dtype=torch.float32) as store:
        assert torch.equal(store.gather(14, ids), values[torch.from_numpy(ids)])


def test_inspect_says_what_a_checkpoint_is_and_costs(run_cli: RunCli, tmp_path: Path) -> None:
    make.qwen(tmp_path, "nvfp4")
    document = json.loads(run_cli("inspect", tmp_path, "--json").stdout)
    assert document["family"] == document["scheme"] == "qwen-ple"
    assert (document["record_bytes"], document["bytes_per_token"]) == (18, 18 * 16)
    assert document["reads_per_row"] == 2
    rows = document["layers"][0]["num_rows"]
    tiers = {tier["tier"]: tier for tier in document["tiers"]}
    assert tiers["gpu"]["memory_bytes"] == rows * 18
    assert tiers["ssd"]["disk_bytes"] == -(-rows // (4096 // 18)) * 4096
    assert tiers["ssd, in place"]["cold_reads_per_token"] == 32
    assert run_cli("inspect", tmp_path).exit_code == 0


def test_a_family_without_such_rows_is_refused(run_cli: RunCli, tmp_path: Path) -> None:
    make.qwen(tmp_path / "model", "nvfp4")
    result = run_cli("export", tmp_path / "model", "-o", tmp_path / "o", "--family", "deepseek-v41")
    assert result.exit_code == 2
    assert "--dtype f8_e4m3" in result.stderr
    assert not (tmp_path / "o").exists()


def test_an_export_replaces_only_an_export(run_cli: RunCli, tmp_path: Path) -> None:
    make.longcat(tmp_path / "model")
    out = tmp_path / "out"
    assert run_cli("export", tmp_path / "model", "-o", out).exit_code == 0
    assert run_cli("export", tmp_path / "model", "-o", out).exit_code == 2
    assert run_cli("export", tmp_path / "model", "-o", out, "--force").exit_code == 0
    assert run_cli("export", tmp_path / "model", "-o", tmp_path / "model", "--force").exit_code == 2


def test_every_scale_of_a_checkpoint_is_looked_at_when_it_is_read(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make.deepseek_v41(tmp_path / "model")
    monkeypatch.setattr(
        "engramctl.checkpoints.stacked_tensors.SAMPLE_BYTES", 16 * 66
    )  # 16 rows a layer
    path = sorted((tmp_path / "model").glob("*.safetensors"))[1]
    place = read_header(path)["layers.14.engram.embed.scale"]
    data = bytearray(path.read_bytes())
    data[place.offset + 2 * 1001] = 255
    path.write_bytes(data)
    assert run_cli("inspect", tmp_path / "model").exit_code == 0  # not in the sample
    for words in (
        ["layout", tmp_path / "model"],
        ["layout", tmp_path / "model", "--dtype", "bf16"],
    ):
        result = run_cli(*words, "-o", tmp_path / "shards", "--force")
        assert result.exit_code == 1
        assert f"a scale of {path.name} is NaN or infinite" in result.stderr
        assert f"offset  {place.offset + 2 * 1001:,}" in result.stderr
        assert not (tmp_path / "shards").exists()


@pytest.mark.parametrize("kind", ["Q8_0", "raw"])
def test_bad_scales_among_values_and_in_raw_shards_are_named(
    run_cli: RunCli, tmp_path: Path, kind: str
) -> None:
    if kind == "raw":
        make.deepseek_v41(tmp_path / "model")
        assert run_cli("layout", tmp_path / "model", "-o", tmp_path / "shards").exit_code == 0
        words = ("-o", tmp_path / "raw", "--family", "raw-shards")
        assert run_cli("export", tmp_path / "shards", *words).exit_code == 0
        source = tmp_path / "raw"
        path = next(source.rglob("*.scale.bin"))
        at, bad = 40, b"\xff"
    else:
        source = path = tmp_path / "model.gguf"
        make.gguf_file(path, kind)
        at = int(open_checkpoint(path).rows.regions(1)[0].offset) + 34 * 7
        bad = np.array([np.nan], np.float16).tobytes()
    data = bytearray(path.read_bytes())
    data[at : at + len(bad)] = bad
    path.write_bytes(data)
    result = run_cli("inspect", source)
    assert result.exit_code == 1
    assert f"a scale of {path.name} is NaN or infinite" in result.stderr


def test_inspect_says_of_which_type_a_rows_scale_is(run_cli: RunCli, tmp_path: Path) -> None:
    v41(tmp_path, "int4")
    assert run_cli("inspect", tmp_path, "--json").json["scale_rule"] == "F16 for a row"
