import json
from pathlib import Path

import pytest

from engramctl.corpus.sample import train_tokenizer
from engramctl.describe.scheme_on_counts import counted_orders
from engramctl.hashing import make_scheme
from engramctl.hashing.released import presets
from tests.conftest import RunCli
from tests.helpers.corpora import write_ids, zipf_documents

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
    assert [(case["tier"], case["samples"]) for case in shown["cases"]] == [("host", 5)] * 2
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
    [(None, "is an empty folder"), ('{"schema": "engramctl.table/2"}', "unknown schema")],
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


@pytest.fixture
def counts(run_cli: RunCli, tmp_path: Path) -> Path:
    corpus = tmp_path / "corpus.parquet"
    write_ids(corpus, zipf_documents(1, 3000, 90))
    assert run_cli("mine", corpus, "-o", tmp_path / "counts", "-q").exit_code == 0
    return tmp_path / "counts"


def test_counts_show_the_load_of_every_head(run_cli: RunCli, tables: Path, counts: Path) -> None:
    result = run_cli("inspect", tables, "--counts", counts, "--json")
    assert result.exit_code == 0, result.stderr
    found = result.json
    assert (found["kind"], found["tokens"], found["warnings"]) == ("diagnosis", 3000, [])
    assert [(one["layer"], one["order"]) for one in found["orders"]] == [
        (layer, order) for layer in (1, 14) for order in (2, 3, 4)
    ]
    summary = json.loads((counts / "summary.json").read_text())["orders"]
    for one in found["orders"]:
        assert one["distinct"] == summary[one["order"] - 1]["distinct"]
        assert one["accesses"] == summary[one["order"] - 1]["occurrences"]
        assert len(one["heads"]) == 8
        for head in one["heads"]:
            assert head["reached_slots"] + head["unreached_slots"] == head["num_slots"]
            assert head["overshadowed_percent"] == pytest.approx(
                head["expected_overshadowed_percent"], abs=15
            )
    text = run_cli("inspect", tables, "--counts", counts).stdout
    assert "never reached" not in text
    each = run_cli("inspect", tables, "--counts", counts, "--each-head").stdout
    assert "never reached" in each
    assert len(each.splitlines()) - len(text.splitlines()) > 48


def test_warnings_and_orders_without_counts_are_said(
    run_cli: RunCli, counts: Path, tmp_path: Path
) -> None:
    result = run_cli("inspect", "longcat-2.0", "--counts", counts)
    assert result.exit_code == 0, result.stderr
    assert "order 5 is not in" in result.stderr
    scheme = make_scheme("longcat-2.0")
    assert counted_orders(scheme, counts) == [2, 3, 4]  # of which the bar counts
    assert "gcd(modulus" in result.stdout
    blt = run_cli("inspect", "blt", "--counts", counts, "--json").json
    assert blt["orders_without_counts"] == [5, 6, 7, 8]


def test_counts_that_do_not_fit_are_one_clear_error(
    run_cli: RunCli, tables: Path, counts: Path, tmp_path: Path
) -> None:
    scheme = tmp_path / "scheme.json"
    scheme.write_text(json.dumps(presets.make_scheme("engram", vocab_size=50).to_dict()))
    outside = run_cli("inspect", scheme, "--counts", counts)
    assert outside.exit_code == 1
    assert "outside the scheme's vocabulary" in outside.stderr
    swapped = run_cli("inspect", counts, "--counts", tables)
    assert swapped.exit_code in (1, 2)
    assert run_cli("inspect", tables, "--counts", tables).exit_code == 1
    assert run_cli("inspect", tables, "--counts", tmp_path / "none").exit_code == 1
    assert run_cli("inspect", "nonsense", "--counts", counts).exit_code == 2
    (counts / "order2.parquet").write_bytes(b"PAR1")
    assert "order2.parquet" in run_cli("inspect", tables, "--counts", counts).stderr


def test_a_preset_is_resized_for_its_diagnosis(run_cli: RunCli, tmp_path: Path) -> None:
    source, counts = write_ids(tmp_path / "c.parquet", zipf_documents(3, 900, 200)), tmp_path / "n"
    assert run_cli("mine", source, "-o", counts).exit_code == 0
    options = ["--slots", "5000", "--orders", "2,3", "--heads", "2"]
    found = run_cli("inspect", "deepseek-v41", "--counts", counts, *options, "--json")
    assert found.exit_code == 0, found.stderr
    orders = found.json["orders"]
    assert [(one["order"], len(one["heads"])) for one in orders] == [(2, 2), (3, 2)] * 2
    assert all(5000 <= head["num_slots"] < 6000 for one in orders for head in one["heads"])
    tokenizer = tmp_path / "tokenizer.json"
    train_tokenizer(["the cat sat on the mat", "the dog sat on the log"] * 5, tokenizer, 300)
    mapped = run_cli("inspect", "deepseek-v41", "--counts", counts, "--tokenizer", tokenizer)
    assert mapped.exit_code == 0, mapped.stderr
    plain = run_cli("inspect", "deepseek-v41", "--counts", counts)
    assert "identity token map" in plain.stderr
    assert "identity token map" not in mapped.stderr
    assert mapped.stdout != plain.stdout
    refused = run_cli("inspect", counts, "--slots", "5000")
    assert refused.exit_code == 2
    assert "--slots" in refused.stderr
