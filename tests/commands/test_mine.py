import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from engramctl.counting import reference
from tests.conftest import RunCli
from tests.helpers.corpora import file_bytes, read_rows, write_ids, zipf_documents

DOCUMENTS = [[1, 2, 1, 2, 3], [], [1, 2], [9]]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_ids(tmp_path / "corpus.parquet", DOCUMENTS)


def test_json_is_the_summary_file_and_notes_go_to_stderr(
    run_cli: RunCli, corpus: Path, tmp_path: Path
) -> None:
    result = run_cli("mine", corpus, "-o", tmp_path / "counts", "--json", "--min-count", 2)
    assert result.exit_code == 0, result.stderr
    assert result.json == json.loads((tmp_path / "counts" / "summary.json").read_text())
    assert result.stdout == (tmp_path / "counts" / "summary.json").read_text()
    assert str(tmp_path / "counts") in result.stderr
    assert result.json["tokens"] == 8
    assert result.json["orders"][1]["top"] == {"token_ids": [1, 2], "count": 3}
    assert result.json["orders"][1]["coverage"] == 3 / 5
    assert read_rows(tmp_path / "counts", 2) == reference.rows(DOCUMENTS, 2, 2)


def test_the_table_shows_every_order(run_cli: RunCli, corpus: Path, tmp_path: Path) -> None:
    result = run_cli("mine", corpus, "-o", tmp_path / "counts", "--orders", "2,4", "-q")
    assert result.exit_code == 0
    assert "1 2" in result.stdout
    assert "distinct" in result.stdout
    assert result.stderr == ""


def test_an_existing_result_is_replaced_only_by_force(
    run_cli: RunCli, corpus: Path, tmp_path: Path
) -> None:
    target = tmp_path / "counts"
    assert run_cli("mine", corpus, "-o", target, "-q").exit_code == 0
    before = file_bytes(target)
    refused = run_cli("mine", corpus, "-o", target, "--orders", "1")
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert file_bytes(target) == before
    assert run_cli("mine", corpus, "-o", target, "--orders", "1", "--force").exit_code == 0
    assert sorted(file_bytes(target)) == ["manifest.json", "order1.parquet", "summary.json"]


def test_options_come_from_the_config_file(run_cli: RunCli, corpus: Path, tmp_path: Path) -> None:
    config = tmp_path / "engramctl.toml"
    config.write_text('[mine]\norders = "3"\nmin-count = 2\n')
    result = run_cli("mine", corpus, "-o", tmp_path / "c", "--config", config, "--json")
    assert result.exit_code == 0, result.stderr
    assert [order["order"] for order in result.json["orders"]] == [3]
    assert result.json["min_count"] == 2


@pytest.mark.parametrize(
    "options",
    [
        ["--orders", "6"],
        ["--orders", "0,1"],
        ["--orders", "2,2"],
        ["--orders", "two"],
        ["--orders", ""],
        ["--min-count", "0"],
        ["--min-count", str(2**63)],
        ["--memory", "lots"],
        ["--memory", "0"],
        ["--memory", "100MiB"],
        ["--top-k", "0"],
        ["--tokenizer", "none.json"],
    ],
)
def test_a_wrong_option_exits_with_2_and_writes_nothing(
    options: list[str], run_cli: RunCli, corpus: Path, tmp_path: Path
) -> None:
    result = run_cli("mine", corpus, "-o", tmp_path / "counts", *options)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert os.listdir(tmp_path) == ["corpus.parquet"]


@pytest.mark.parametrize(
    "documents",
    [
        [[1, -2]],
        [[1, 2**32]],
        [[1, None]],
        [],
    ],
    ids=["negative", "too large", "null", "no documents"],
)
def test_a_wrong_corpus_exits_with_1_and_keeps_the_earlier_result(
    documents: Any, run_cli: RunCli, corpus: Path, tmp_path: Path
) -> None:
    target = tmp_path / "counts"
    assert run_cli("mine", corpus, "-o", target, "-q").exit_code == 0
    before = file_bytes(target)
    write_ids(corpus, documents, pa.list_(pa.int64()))
    result = run_cli("mine", corpus, "-o", target, "--force", "--json")
    assert result.exit_code == 1
    assert result.json["error"]["exit_code"] == 1
    assert result.stderr.count("Error: ") == 1
    assert "Hint: " in result.stderr
    assert file_bytes(target) == before
    assert sorted(os.listdir(tmp_path)) == ["corpus.parquet", "counts"]


def test_missing_and_damaged_files_exit_with_1(
    run_cli: RunCli, corpus: Path, tmp_path: Path
) -> None:
    missing = run_cli("mine", tmp_path / "none", "-o", tmp_path / "counts")
    assert missing.exit_code == 1
    assert "none" in missing.stderr
    corpus.write_bytes(corpus.read_bytes()[:-20])
    damaged = run_cli("mine", corpus, "-o", tmp_path / "counts")
    assert damaged.exit_code == 1
    assert str(corpus) in damaged.stderr


def test_an_output_below_a_file_exits_with_1(run_cli: RunCli, corpus: Path) -> None:
    result = run_cli("mine", corpus, "-o", corpus / "counts")
    assert result.exit_code == 1
    assert "Hint: " in result.stderr


def test_a_folder_for_records_that_cannot_be_used_is_known_before_the_corpus_is_read(
    run_cli: RunCli, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*args: object) -> None:
        raise AssertionError("the corpus is read")

    monkeypatch.setattr("engramctl.mining.facts.file_digest", read)
    monkeypatch.setattr("engramctl.corpus.corpus.Corpus.batches", read)
    for tmp in (corpus, corpus / "x", Path("/proc/nowhere")):
        result = run_cli("mine", corpus, "-o", tmp_path / "counts", "--tmp-dir", tmp)
        assert result.exit_code == 1
        assert str(tmp) in result.stderr
    assert os.listdir(tmp_path) == ["corpus.parquet"]


@pytest.mark.parametrize("min_count", [2, 3])
@pytest.mark.parametrize("top", [(), ("--top-k", 5)])
def test_a_scheme_changes_no_file_of_ngrams(
    min_count: int, top: tuple[object, ...], run_cli: RunCli, tmp_path: Path
) -> None:
    source = write_ids(tmp_path / "c.parquet", zipf_documents(1, 2_000, 60))
    words = ("mine", source, "--min-count", min_count, *top, "-q", "-o")
    for name, scheme in (("plain", ()), ("scheme", ("--scheme", "engram"))):
        assert run_cli(*words, tmp_path / name, *scheme).exit_code == 0
    for order in (1, 2, 3, 4):
        name = f"order{order}.parquet"
        plain = (tmp_path / "plain" / name).read_bytes()
        assert (tmp_path / "scheme" / name).read_bytes() == plain


FULL_DISK = """
set -e
mount -t tmpfs -o size=$1 tmpfs "$2"
mkdir "$2/counts"
cp -r "$3/." "$2/counts"
set +e
"$4" -m engramctl mine "$5" -o "$2/counts" --force --memory "$6"
code=$?
ls -A "$2"
for file in manifest.json order4.parquet; do cmp "$3/$file" "$2/counts/$file"; done
exit $code
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs unshare")
@pytest.mark.parametrize("memory", ["560MiB", "4GiB"], ids=["while spilling", "while writing"])
def test_a_full_disk_exits_with_1_and_keeps_the_earlier_result(
    memory: str, run_cli: RunCli, corpus: Path, tmp_path: Path
) -> None:
    if subprocess.run(["unshare", "-m", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine refuses a private mount namespace")
    assert run_cli("mine", corpus, "-o", tmp_path / "old", "-q").exit_code == 0
    random = zipf_documents(7, 120_000, 2**30)
    big = write_ids(tmp_path / "big.parquet", random)
    disk = tmp_path / "disk"
    disk.mkdir()
    words = ["600k", disk, tmp_path / "old", sys.executable, big, memory]
    result = subprocess.run(
        ["unshare", "-m", "bash", "-c", FULL_DISK, "bash", *map(str, words)],
        capture_output=True,
        text=True,
        check=False,
    )
    if "mount:" in result.stderr:
        pytest.skip("this machine refuses a tmpfs mount")
    assert result.returncode == 1, result.stderr
    assert "No space left" in result.stderr
    assert "the disk is full" in result.stderr
    assert result.stdout == "counts\n"
