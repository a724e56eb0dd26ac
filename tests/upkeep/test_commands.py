"""--if-needed on the command line: every command that makes a folder, in a pipeline."""

import os
from pathlib import Path

import pytest

from tests.conftest import RunCli
from tests.helpers.corpora import file_bytes, write_ids, zipf_documents
from tests.helpers.small_table import SMALL_BUILD
from tests.mining.kills import killed_at_checkpoint

Words = tuple[object, ...]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return write_ids(tmp_path / "corpus.parquet", [[1, 2, 3, 1, 2], [4, 1, 2]])


def test_counts_are_mined_once_and_again_when_something_differs(
    run_cli: RunCli, tmp_path: Path, corpus: Path
) -> None:
    out = tmp_path / "counts"
    words = ("mine", corpus, "--orders", "1,2", "-o", out, "--if-needed")
    assert run_cli(*words).exit_code == 0
    made = file_bytes(out)
    found = run_cli(*words, "--memory", "1GiB")
    assert found.exit_code == 0
    assert f"{out} is up to date: same options, same inputs" in found.stderr
    assert found.stdout == ""
    document = run_cli(*words, "--json").json
    assert document == {
        "schema": "engramctl.up-to-date/1", "path": str(out), "up_to_date": True,
        "compared": "time", "inputs": 1,
    }  # fmt: skip
    assert file_bytes(out) == made
    again = run_cli(*words, "--min-count", "2")
    assert again.exit_code == 0
    assert f"{out} is made again: --min-count was 1, now 2" in again.stderr
    assert file_bytes(out) != made
    write_ids(corpus, [[1, 2]])
    again = run_cli(*words, "--min-count", "2", "--json")
    assert f"input {corpus} had " in again.stderr
    assert again.json["tokens"] == 2


def test_the_old_folder_stays_until_the_new_one_is_whole(
    run_cli: RunCli, tmp_path: Path, corpus: Path
) -> None:
    out = tmp_path / "counts"
    assert run_cli("mine", corpus, "-o", out, "-q").exit_code == 0
    made = file_bytes(out)
    corpus.write_bytes(b"no Parquet")
    found = run_cli("mine", corpus, "-o", out, "--if-needed")
    assert (found.exit_code, str(corpus) in found.stderr) == (1, True)
    assert file_bytes(out) == made


def test_a_run_that_was_killed_goes_on_with_resume_and_is_then_up_to_date(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    corpus = write_ids(tmp_path / "corpus.parquet", zipf_documents(9, 30_000, 5_000))
    out = tmp_path / "counts"
    words = ("mine", corpus, "-o", out, "--if-needed")
    with killed_at_checkpoint(2, monkeypatch):
        run_cli(*words)
    found = run_cli(*words)
    assert (found.exit_code, "--resume" in found.stderr) == (2, True)
    assert run_cli(*words, "--resume").exit_code == 0
    assert "up to date" in run_cli(*words).stderr
    assert "up to date" in run_cli(*words, "--resume").stderr


def test_a_pipeline_of_tables_shards_and_export_is_run_once(
    run_cli: RunCli, tmp_path: Path
) -> None:
    tables, shards, exported = (tmp_path / name for name in ("tables", "shards", "exported"))
    steps: tuple[Words, ...] = (
        ("build", *SMALL_BUILD, "-o", tables),
        ("layout", tables, "-t", "ssd", "-o", shards),
        ("export", shards, "--family", "raw-shards", "--parts", "2", "-o", exported),
    )
    for step in steps:
        assert run_cli(*step, "--if-needed").exit_code == 0
    before = {one: os.stat(one).st_ino for one in (tables, shards, exported)}
    for step in steps:
        assert "is up to date" in run_cli(*step, "--if-needed=digest").stderr
        assert run_cli(*step, "--if-needed", "--json").json["up_to_date"] is True
    assert {one: os.stat(one).st_ino for one in before} == before
    assert "up to date" in run_cli(*steps[1], "--shard-bytes", "128GiB", "--if-needed").stderr
    assert run_cli(*steps[0], "--seed", "9", "--if-needed").exit_code == 0
    for step in steps[1:]:
        found = run_cli(*step, "--if-needed")
        assert found.exit_code == 0
        assert "is made again: input" in found.stderr
    assert run_cli("verify", shards).exit_code == 0


def test_the_flag_takes_its_value_only_with_an_equals_sign(
    run_cli: RunCli, tmp_path: Path, corpus: Path
) -> None:
    out = tmp_path / "counts"
    assert run_cli("mine", "-o", out, "-q", "--if-needed", corpus).exit_code == 0
    assert "up to date" in run_cli("mine", "-o", out, "--if-needed=digest", corpus).stderr
    assert run_cli("mine", "-o", out, "--if-needed=often", corpus).exit_code == 2
    twice = run_cli("mine", "-o", out, "--if-needed", "--if-needed=digest", corpus)
    assert twice.exit_code == 2
    config = tmp_path / "engramctl.toml"
    config.write_text("[mine]\nif-needed = true\n")
    assert "up to date" in run_cli("mine", "-o", out, corpus, "--config", config).stderr


def test_a_dry_run_makes_nothing_and_replaces_nothing(run_cli: RunCli, tmp_path: Path) -> None:
    out = tmp_path / "tables"
    assert run_cli("build", *SMALL_BUILD, "-o", out, "--if-needed", "--dry-run").exit_code == 0
    assert not out.exists()
    assert run_cli("build", *SMALL_BUILD, "-o", out, "--if-needed").exit_code == 0
    before = (out / "manifest.json").read_bytes()
    told = run_cli("build", *SMALL_BUILD, "-o", out, "--if-needed", "--dry-run", "--seed", 7)
    assert "tables would be made again: --seed was 0, now 7" in told.stderr
    assert (out / "manifest.json").read_bytes() == before
