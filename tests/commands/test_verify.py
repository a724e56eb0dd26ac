import json
from pathlib import Path

import pytest

from tests.conftest import RunCli


def test_a_right_table_exits_0_with_what_was_checked(run_cli: RunCli, tables: Path) -> None:
    result = run_cli("verify", tables, "--json")
    assert result.exit_code == 0
    assert result.json["ok"] is True
    assert result.json["files"] == 4
    assert "every byte is right" in run_cli("verify", tables).stdout


def test_a_flipped_byte_exits_3_with_file_offset_and_remedy(run_cli: RunCli, tables: Path) -> None:
    file = tables / "layer01.scale.000.safetensors"
    data = bytearray(file.read_bytes())
    data[-1] ^= 1
    file.write_bytes(data)
    result = run_cli("verify", tables, "--json")
    assert result.exit_code == 3
    assert result.json["error"]["exit_code"] == 3
    assert f"{file.name} is damaged at offset 4,096" in result.json["error"]["message"]
    assert f"{file.name} is damaged at offset 4,096" in result.stderr
    assert "run: engramctl build --scheme deepseek-v41 --slots 50" in result.stderr
    assert f"-o {tables} --force" in result.stderr


def test_the_remedy_of_the_message_is_one(run_cli: RunCli, tables: Path) -> None:
    import shlex

    (tables / "layer01.scale.000.safetensors").unlink()
    result = run_cli("verify", tables)
    assert result.exit_code == 3
    remedy = shlex.split(result.stderr.split("run: ")[1].strip())
    assert run_cli(*remedy[1:]).exit_code == 0
    assert run_cli("verify", tables).exit_code == 0


def test_rows_that_do_not_fit_the_scheme_exit_3(run_cli: RunCli, tables: Path) -> None:
    file = tables / "manifest.json"
    document = json.loads(file.read_text())
    document["scheme"]["store"]["row_dim"] = 64
    file.write_text(json.dumps(document))
    result = run_cli("verify", tables)
    assert result.exit_code == 3
    assert "row_dim" in result.stderr


def test_counts_are_checked_by_their_listed_files(run_cli: RunCli, tmp_path: Path) -> None:
    import xxhash

    data = b"parquet"
    entry = {"file": "order2.parquet", "bytes": 7, "xxh3_128": xxhash.xxh3_128_hexdigest(data)}
    (tmp_path / "order2.parquet").write_bytes(data)
    document = {"schema": "engramctl.counts/1", "corpus": [{"file": "x"}], "orders": [entry]}
    (tmp_path / "manifest.json").write_text(json.dumps(document))
    assert run_cli("verify", tmp_path, "--json").json["files"] == 1
    (tmp_path / "order2.parquet").write_bytes(b"parquet!"[1:])
    result = run_cli("verify", tmp_path)
    assert result.exit_code == 3
    assert "order2.parquet is damaged" in result.stderr
    assert "engramctl mine" in result.stderr
    entry["file"] = "../order2.parquet"
    (tmp_path / "manifest.json").write_text(json.dumps(document))
    assert run_cli("verify", tmp_path).exit_code == 1


@pytest.mark.parametrize("name", ["nowhere", "folder"])
def test_what_cannot_be_checked_exits_1(run_cli: RunCli, tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    result = run_cli("verify", tmp_path / name)
    assert result.exit_code == 1
    assert name in result.stderr


@pytest.mark.parametrize("number", ["1e300", "null", '"x"', "[]"])
def test_an_absurd_size_in_a_manifest_is_refused_not_added_up(
    run_cli: RunCli, tables: Path, number: str
) -> None:
    text = (tables / "manifest.json").read_text()
    size = json.loads(text)["layers"][0]["shards"][0]["data_bytes"]
    text = text.replace(f'"data_bytes": {size}', f'"data_bytes": {number}')
    (tables / "manifest.json").write_text(text)
    result = run_cli("verify", tables)
    assert result.exit_code == 3
    assert "data_bytes is wrong" in result.stderr


def test_a_checkpoint_is_told_to_have_no_checksums(
    run_cli: RunCli, tables: Path, tmp_path: Path
) -> None:
    out = tmp_path / "a model"
    assert run_cli("export", tables, "-o", out).exit_code == 0
    told = run_cli("verify", out)
    assert told.exit_code == 1
    assert f"no checksums to check; run: engramctl inspect '{out}'" in told.stderr
    assert run_cli("inspect", out).exit_code == 0
    (tmp_path / "none").mkdir()
    assert "run: engramctl inspect" not in run_cli("verify", tmp_path / "none").stderr
