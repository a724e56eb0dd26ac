import json
from pathlib import Path

import pytest

from engramctl.hashing import presets
from tests.conftest import RunCli

SMALL = ("--slots", "50", "-q")


@pytest.fixture
def tables(run_cli: RunCli, tmp_path: Path) -> Path:
    assert run_cli("build", *SMALL, "-o", tmp_path / "tables").exit_code == 0
    return tmp_path / "tables"


def test_a_table_says_what_a_token_costs(run_cli: RunCli, tables: Path) -> None:
    shown = run_cli("inspect", tables, "--json").json
    assert shown["kind"] == "tables"
    assert (shown["rows_per_token"], shown["bytes_per_token"]) == (48, 12_672)
    assert (shown["form"], shown["reads_per_token"]) == ("planar", 96)
    assert shown["total_bytes"] == sum(p.stat().st_size for p in tables.glob("*.safetensors"))
    text = run_cli("inspect", tables).stdout
    assert "12,672" in text
    assert "deepseek-v41" in text


def test_shards_of_records_cost_one_read_a_row(run_cli: RunCli, tables: Path) -> None:
    out = tables.parent / "shards"
    run_cli("layout", tables, "--tier", "ssd", "-o", out, "-q")
    shown = run_cli("inspect", out, "--json").json
    assert (shown["kind"], shown["tier"], shown["form"]) == ("shards", "ssd", "paged")
    assert (shown["page_bytes"], shown["rows_per_page"]) == (4096, 15)
    assert shown["reads_per_token"] == 48


def test_a_scheme_file_is_recognised(run_cli: RunCli, tmp_path: Path) -> None:
    file = tmp_path / "scheme.json"
    file.write_text(json.dumps(presets.make_scheme("deepseek-v41").to_dict()))
    shown = run_cli("inspect", file, "--json").json
    assert shown["kind"] == "scheme"
    assert shown["layers"] == [
        {"layer": 1, "num_rows": 384_006_168},
        {"layer": 14, "num_rows": 384_016_682},
    ]


def test_counts_are_recognised(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"schema": "engramctl.counts/1", "tokens": 7}')
    shown = run_cli("inspect", tmp_path, "--json").json
    assert (shown["kind"], shown["tokens"]) == ("counts", 7)


def test_a_bench_result_is_recognised(run_cli: RunCli, tables: Path) -> None:
    out = tables.parent / "result.json"
    options = ("--tier", "host", "--case", "gather", "--samples", "3", "--tokens", "2")
    run_cli("bench", tables, *options, "-o", out)
    shown = run_cli("inspect", out, "--json").json
    assert (shown["kind"], shown["measured"], shown["mismatches"]) == (
        "bench result", str(tables), 0,
    )  # fmt: skip
    assert [(case["tier"], case["samples"]) for case in shown["cases"]] == [("host", 3)] * 2
    assert "gather" in run_cli("inspect", out).stdout


@pytest.mark.parametrize("content", ["[]", "{", '{"schema": "engramctl.scheme/9"}', ""])
def test_a_file_that_is_no_scheme_is_one_clear_error(
    run_cli: RunCli, tmp_path: Path, content: str
) -> None:
    (tmp_path / "x.json").write_text(content)
    result = run_cli("inspect", tmp_path / "x.json")
    assert result.exit_code == 1
    assert "x.json" in result.stderr
    assert result.stdout == ""


@pytest.mark.parametrize(
    ("manifest", "message"),
    [(None, "no manifest.json"), ('{"schema": "engramctl.table/2"}', "unknown schema")],
)
def test_a_folder_that_is_not_ours_is_one_clear_error(
    run_cli: RunCli, tmp_path: Path, manifest: str | None, message: str
) -> None:
    if manifest:
        (tmp_path / "manifest.json").write_text(manifest)
    result = run_cli("inspect", tmp_path)
    assert result.exit_code == 1
    assert message in result.stderr


def test_an_edited_scheme_is_refused(run_cli: RunCli, tables: Path) -> None:
    file = tables / "manifest.json"
    document = json.loads(file.read_text())
    document["scheme"]["layers"][0]["multipliers"][0] += 2
    file.write_text(json.dumps(document))
    assert run_cli("inspect", tables).exit_code == 1
    assert run_cli("verify", tables).exit_code == 3
