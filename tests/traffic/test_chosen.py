"""Which token ids are read where none are named: text of the table's tokenizer, else Zipf."""

import shutil
from pathlib import Path

import numpy as np
import pytest

from engramctl.hashing.scheme.scheme import Scheme
from engramctl.schemes.options import SchemeOptions
from engramctl.tables.build import plan_build
from engramctl.traffic.chosen import AUTO, choose_trace
from tests.conftest import RunCli
from tests.helpers.corpora import write_ids
from tests.helpers.mined_counts import run
from tests.helpers.small_table import small_table
from tests.helpers.tokenizer_files import OTHER_VOCABULARY, OURS, write_tokenizer

IDS = np.random.default_rng(0).integers(0, 500, 12_000).tolist()


def scheme(tokenizer: Path | None = None) -> Scheme:
    made = plan_build(SchemeOptions(slots=101, tokenizer=tokenizer)).scheme
    assert isinstance(made, Scheme)
    return made


@pytest.fixture(scope="module")
def mined(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("mined")
    run("mine", write_ids(folder / "corpus.parquet", [IDS]), "-o", folder / "counts")
    return folder


@pytest.fixture(autouse=True)
def little_of_the_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engramctl.traffic.chosen.TEXT_BYTES", 100_000)


def test_without_any_text_they_are_zipf_and_it_says_so(tmp_path: Path) -> None:
    found = choose_trace(AUTO, tmp_path / "shards", scheme())
    assert (found.name, found.ids) == ("zipf", None)
    assert found.told is not None
    assert "Zipf" in found.told
    assert "no text" in found.told


@pytest.mark.parametrize("name", ["zipf", "uniform", "corpus.parquet"])
def test_a_named_trace_is_taken_as_it_is(mined: Path, name: str) -> None:
    found = choose_trace(name, mined / "shards", scheme())
    assert (found.name, found.ids, found.told) == (name, None, None)


def test_the_corpus_of_the_counts_beside_the_table_is_read(mined: Path) -> None:
    found = choose_trace(AUTO, mined / "shards", scheme())
    assert found.name == str(mined / "counts")
    assert found.ids is not None
    assert found.ids.tolist() == IDS


def test_a_corpus_that_is_gone_or_of_other_ids_is_no_text_of_the_table(
    mined: Path, tmp_path: Path
) -> None:
    shutil.copytree(mined / "counts", tmp_path / "counts")
    corpus = write_ids(tmp_path / "large.parquet", [[10**6] * 20_000])
    run("mine", corpus, "-o", tmp_path / "other" / "counts")
    assert choose_trace(AUTO, tmp_path / "other" / "shards", scheme()).name == "zipf"
    (tmp_path / "other" / "counts" / "manifest.json").write_text("{")
    assert choose_trace(AUTO, tmp_path / "other" / "shards", scheme()).name == "zipf"


@pytest.mark.parametrize("place", ["shards/tokenizer.json", "tokenizer.json"])
def test_with_the_tables_tokenizer_it_is_pythons_library(tmp_path: Path, place: str) -> None:
    (tmp_path / "shards").mkdir()
    ours = write_tokenizer(tmp_path / place, OURS)
    found = choose_trace(AUTO, tmp_path / "shards", scheme(ours))
    assert found.name == "python"
    assert found.told is not None
    assert str(ours) in found.told
    assert found.ids is not None
    assert found.ids.max() < 256 + len(OURS)


def test_a_tokenizer_of_another_vocabulary_makes_no_ids(tmp_path: Path) -> None:
    ours = write_tokenizer(tmp_path / "ours.json", OURS)
    write_tokenizer(tmp_path / "tokenizer.json", OTHER_VOCABULARY)
    assert choose_trace(AUTO, tmp_path / "shards", scheme(ours)).name == "zipf"


def test_bench_says_which_ids_it_read(run_cli: RunCli, mined: Path, tmp_path: Path) -> None:
    shutil.copytree(mined / "counts", tmp_path / "counts")
    small_table(tmp_path / "shards", tier="host")
    words = ("bench", tmp_path / "shards", "--tier", "host", "--case", "gather.decode")
    answer = run_cli(*words, "--samples", "5", "--json")
    assert answer.exit_code == 0
    told = f"token ids of the corpus that {tmp_path / 'counts'} was mined from"
    assert f"assumed: {told}; --trace names others" in answer.stderr
    assert answer.json["config"]["trace"] == str(tmp_path / "counts")
    assert answer.json["config"]["assumed"] == told
    [case] = answer.json["cases"]
    assert case["traffic"]["top_token_percent"] <= 100
