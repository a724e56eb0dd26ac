import errno
import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engramctl.hashing import Scheme, lookup_from_dict, make_scheme
from engramctl.storage import open_store
from engramctl.storage.reading.table import open_table
from engramctl.storage.writing.convert import ValueRows
from tests.conftest import RunCli


@pytest.mark.parametrize(
    ("tier", "form"), [("host", "packed"), ("gpu", "packed"), ("ssd", "paged")]
)
def test_every_tier_gets_the_same_rows(
    run_cli: RunCli, tables: Path, tmp_path: Path, tier: str, form: str
) -> None:
    out = tmp_path / "shards"
    predicted = run_cli("layout", tables, "--tier", tier, "-o", out, "--dry-run", "--json").json
    assert not out.exists()
    result = run_cli("layout", tables, "--tier", tier, "-o", out, "--json")
    assert result.exit_code == 0, result.stderr
    assert {**predicted, "dry_run": False} == result.json
    assert {f["file"]: f["bytes"] for f in predicted["files"]} == {
        one.name: one.stat().st_size for one in out.iterdir()
    }
    before, after = open_table(tables), open_table(out)
    assert (after.manifest.kind, after.manifest.tier, after.layout.form) == ("shards", tier, form)
    for layer in before.layers:
        ids = np.arange(before.num_rows(layer))
        for ours, theirs in zip(
            after.read_rows(layer, ids), before.read_rows(layer, ids), strict=True
        ):
            assert np.array_equal(ours, theirs)
    assert run_cli("verify", out).exit_code == 0


def test_layout_alone_goes_from_tables_to_shards_for_ssd(
    run_cli: RunCli, tables: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tables.parent)
    assert run_cli("layout").exit_code == 0
    manifest = open_table(Path("shards")).manifest
    assert manifest.tier == "ssd"
    assert manifest.provenance.command == ("engramctl", "layout", "tables", "--tier", "ssd")
    assert manifest.provenance.source is not None
    assert manifest.provenance.source["path"] == "tables"


def test_shards_can_be_laid_out_again_and_are_the_same(
    run_cli: RunCli, tables: Path, tmp_path: Path
) -> None:
    for source, tier, out in [("tables", "ssd", "a"), ("a", "host", "b"), ("b", "ssd", "c")]:
        result = run_cli("layout", tmp_path / source, "--tier", tier, "-o", tmp_path / out)
        assert result.exit_code == 0, result.stderr
    for file in (tmp_path / "a").glob("*.safetensors"):
        assert file.read_bytes() == (tmp_path / "c" / file.name).read_bytes()


def test_a_damaged_source_is_not_laid_out(run_cli: RunCli, tables: Path, tmp_path: Path) -> None:
    file = tables / "layer14.weight.000.safetensors"
    data = bytearray(file.read_bytes())
    data[5000] ^= 1
    file.write_bytes(data)
    result = run_cli("layout", tables, "-o", tmp_path / "shards")
    assert result.exit_code == 1
    assert f"{file.name} is damaged at offset 4,096" in result.stderr
    assert os.listdir(tmp_path) == ["tables"]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--tier", "tape"), 2, "unknown tier"),
        (("--tier", "host:1GiB,ssd"), 2, "one tier, not for the mixture"),
        (("-o", "taken"), 2, "exists already"),
        (("-o", "tables"), 2, "it would replace an input"),
        (("-o", "file/shards"), 1, "Not a directory"),
    ],
)
def test_a_wrong_layout_is_one_clear_error(
    run_cli: RunCli,
    tables: Path,
    monkeypatch: pytest.MonkeyPatch,
    words: tuple[str, ...],
    code: int,
    message: str,
) -> None:
    monkeypatch.chdir(tables.parent)
    Path("file").write_text("")
    Path("taken/sub").mkdir(parents=True, exist_ok=True)
    result = run_cli("layout", *words)
    assert result.exit_code == code
    assert message in result.stderr
    assert run_cli("verify", "tables").exit_code == 0


def test_a_missing_source_names_itself(run_cli: RunCli, tmp_path: Path) -> None:
    result = run_cli("layout", tmp_path / "nowhere", "-o", tmp_path / "shards")
    assert result.exit_code == 1
    assert "nowhere" in result.stderr


@pytest.mark.parametrize("dtype", ["f8_e4m3", "nvfp4", "int4", "q8_0"])
def test_layout_converts_and_tells_what_was_lost_in_every_head(
    run_cli: RunCli, tmp_path: Path, dtype: str
) -> None:
    tables, shards = tmp_path / "tables", tmp_path / "shards"
    words = ("--slots", "50", "--heads", "2", "--row-dim", "32", "--dtype", "bf16")
    assert run_cli("build", *words, "-o", tables).exit_code == 0
    result = run_cli("layout", tables, "--dtype", dtype, "-o", shards, "--json")
    assert result.exit_code == 0, result.stderr
    document = json.loads(result.stdout)
    assert document["dtype"] == dtype
    assert [(one["layer"], one["head"]) for one in document["conversion"]] == [
        (layer, head) for layer in (1, 14) for head in range(6)
    ]
    assert all(0 < one["rms"] <= one["max_abs"] < 0.02 for one in document["conversion"])
    assert all(0.98 < one["cosine"] < 1 for one in document["conversion"])
    assert run_cli("verify", shards).exit_code == 0
    before, after = open_table(tables), open_table(shards)
    ids = np.arange(before.num_rows(1))
    lost = np.abs(after.read_values(1, ids) - before.read_values(1, ids)).max()
    told = max(one["max_abs"] for one in document["conversion"] if one["layer"] == 1)
    assert lost == pytest.approx(told)


def test_a_conversion_that_went_on_tells_the_same_losses(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tables = tmp_path / "tables"
    words = ("--slots", "3000", "--heads", "1", "--row-dim", "32", "--dtype", "f32")
    assert run_cli("build", *words, "-o", tables).exit_code == 0
    convert = ("layout", tables, "--dtype", "int8", "--json")
    whole = run_cli(*convert, "-o", tmp_path / "whole")
    filled = [0]
    real = ValueRows.fill

    def cut(self: ValueRows, *args: Any) -> Any:
        filled[0] += 1
        if filled[0] == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(self, *args)

    with monkeypatch.context() as patched:
        patched.setattr(ValueRows, "fill", cut)
        patched.setattr("engramctl.storage.writing.writer.default_workers", lambda: 1)
        assert run_cli(*convert, "-o", tmp_path / "again").exit_code == 1
    again = run_cli(*convert, "-o", tmp_path / "again", "--resume")
    assert again.json["conversion"] == whole.json["conversion"]


@pytest.fixture
def crossed(run_cli: RunCli, tmp_path: Path) -> Path:
    """Tables of a scheme whose heads' offsets do not ascend from head to head."""
    mix = replace(make_scheme("blt").mix, bases=(1_000_000_007, 5_915_587_277))
    scheme = make_scheme("blt", heads_per_order=2, slots=97, mix=mix, row_dim=32)
    offsets = [head.offset for head in scheme.layer_hash(scheme.layers[0]).heads]
    assert offsets != sorted(offsets)
    (tmp_path / "s.json").write_text(json.dumps(scheme.to_dict()))
    words = ("build", "--scheme", tmp_path / "s.json", "--dtype", "f32", "-q")
    assert run_cli(*words, "-o", tmp_path / "tables").exit_code == 0
    return tmp_path / "tables"


@pytest.mark.parametrize(("tier", "shards"), [("host", 3), ("ssd", 1), ("host", 50)])
def test_heads_are_dealt_by_the_rows_they_own(
    run_cli: RunCli, crossed: Path, tmp_path: Path, tier: str, shards: int
) -> None:
    out = tmp_path / "shards"
    dealt = run_cli("layout", crossed, "--head-shards", shards, "--tier", tier, "-o", out, "-q")
    assert dealt.exit_code == 0, dealt.stderr
    against = run_cli("verify", out, "--against", crossed, "-q")
    assert against.exit_code == 0, against.stderr
    with open_store(crossed, tier="host", dtype=torch.float32) as store:
        layer = store.layers[0]
        ids = np.arange(store.num_rows(layer)).reshape(1, -1)
        expected = store.gather(layer, ids)
    with open_store(out, tier=tier, dtype=torch.float32) as store:
        assert torch.equal(store.gather(layer, ids), expected)


def test_a_head_in_a_shard_holds_the_rows_its_scheme_says(
    run_cli: RunCli, crossed: Path, tmp_path: Path
) -> None:
    out = tmp_path / "shards"
    assert run_cli("layout", crossed, "--head-shards", 5, "-o", out, "-q").exit_code == 0
    manifest = open_table(out).manifest
    scheme = lookup_from_dict(dict(manifest.scheme))
    assert isinstance(scheme, Scheme)
    heads = scheme.layer_hash(scheme.layers[0]).heads
    for shard in manifest.layers[0].shards:
        for one in shard.heads or ():
            head = heads[one.head]
            assert one.rows == (head.offset, head.offset + head.modulus)


def test_a_family_with_a_tensor_a_head_takes_no_heads_that_cross(
    run_cli: RunCli, crossed: Path, tmp_path: Path
) -> None:
    words = ("export", crossed, "--family", "longcat", "-o", tmp_path / "out", "-q")
    refused = run_cli(*words)
    assert (refused.exit_code, "order of the table's rows" in refused.stderr) == (2, True)
