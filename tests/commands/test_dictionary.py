"""A dictionary on the command line: made of counts, kept, explained, compared, built."""

import json
from pathlib import Path

import pytest

from engramctl.hashing import DictionaryScheme
from engramctl.schemes.options import read_scheme
from tests.conftest import RunCli, run_in_process
from tests.helpers.corpora import write_ids
from tests.helpers.small_bench import SMALL_BENCH

# (1, 2) occurs 5 times, (1, 2, 3) 3 times, (2, 3) 4 times; nothing else more than twice.
DOCUMENTS = [[1, 2, 3], [1, 2, 3, 9], [1, 2, 3], [2, 3], [1, 2], [1, 2, 7]]
FROM_COUNTS = ("--scheme", "dictionary", "--min-count", 3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("dictionary")
    corpus = write_ids(made / "corpus.parquet", DOCUMENTS)
    mined = run_in_process("mine", corpus, "-o", made / "counts", "-q")
    assert mined.exit_code == 0, mined.stderr
    (made / "tokens.jsonl").write_text("[4, 1, 2, 3, 2, 3]\n")
    saved = run_in_process(
        "rows", made / "tokens.jsonl", *FROM_COUNTS, "--counts", made / "counts",
        "--save-scheme", made / "dictionary.json",
    )  # fmt: skip
    assert saved.exit_code == 0, saved.stderr
    assert saved.stdout == '{"rows":{"0":[[-1],[-1],[0],[2],[-1],[1]]}}\n'
    assert "16 token ids" in saved.stderr
    return made


def test_the_saved_scheme_gives_the_same_rows(run_cli: RunCli, folder: Path) -> None:
    scheme = read_scheme(folder / "dictionary.json")
    assert isinstance(scheme, DictionaryScheme)
    assert [scheme.ngrams[rank] for rank in range(3)] == [(1, 2), (2, 3), (1, 2, 3)]
    by_file = run_cli("rows", folder / "tokens.jsonl", "--scheme", folder / "dictionary.json")
    assert by_file.stdout == '{"rows":{"0":[[-1],[-1],[0],[2],[-1],[1]]}}\n'
    assert by_file.stderr == ""


def test_a_preset_can_be_saved_too_and_is_replaced_only_by_force(
    run_cli: RunCli, folder: Path, tmp_path: Path
) -> None:
    out = tmp_path / "scheme.json"
    words = ("rows", folder / "tokens.jsonl", "--scheme", "longcat", "-q", "--save-scheme", out)
    expected = run_cli(*words)
    assert expected.exit_code == 0
    assert run_cli("rows", folder / "tokens.jsonl", "--scheme", out).stdout == expected.stdout
    refused = run_cli(*words)
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert refused.stdout == ""
    assert run_cli(*words, "--force").exit_code == 0


def test_the_history_of_a_chunk_is_read(run_cli: RunCli, folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "chunks.jsonl"
    file.write_text("[4, 1]\n[2]\n[3, 2, 3]\n")
    shown = run_cli("rows", file, "--scheme", folder / "dictionary.json", "--history", "--json")
    rows = [row for one in shown.json["sequences"] for row in one["rows"]["0"]]
    assert rows == [[-1], [-1], [0], [2], [-1], [1]]


def test_explain_shows_the_match_and_what_else_was_tried(run_cli: RunCli, folder: Path) -> None:
    words = ("rows", folder / "tokens.jsonl", "--scheme", folder / "dictionary.json", "--explain")
    shown = run_cli(*words, 3, "--json").json["layers"][0]
    assert (shown["order"], shown["row_id"]) == (3, 2)
    assert [(one["order"], one["ngram"], one["row_id"]) for one in shown["matches"]] == [
        (4, [4, 1, 2, 3], -1),
        (3, [1, 2, 3], 2),
        (2, [2, 3], 1),
    ]
    assert [one["outcome"] for one in shown["matches"]] == [
        "not in the dictionary",
        "match",
        "shorter than the match",
    ]
    text = run_cli(*words, 3).stdout
    assert "an n-gram of 3 ids, row 2" in text
    assert "shorter than the match" in text
    assert "no match, row -1" in run_cli(*words, 0).stdout


def test_diff_names_the_mistake(run_cli: RunCli, folder: Path, tmp_path: Path) -> None:
    theirs = tmp_path / "theirs.jsonl"
    words = (
        "rows", folder / "tokens.jsonl", "--scheme", folder / "dictionary.json", "--diff", theirs
    )  # fmt: skip
    theirs.write_text('{"rows": {"0": [[-1], [-1], [0], [2], [-1], [1]]}}\n')
    assert run_cli(*words, "--json").json["equal"] is True
    theirs.write_text('{"rows": {"0": [[-1], [-1], [0], [1], [-1], [1]]}}\n')
    differs = run_cli(*words)
    assert differs.exit_code == 3
    assert "shortest match: the shortest n-gram" in differs.stderr
    assert "position 3, layer 0, order 3" in differs.stderr


def test_inspect_build_and_verify_take_a_dictionary(
    run_cli: RunCli, folder: Path, tmp_path: Path
) -> None:
    file, tables = folder / "dictionary.json", tmp_path / "tables"
    shown = run_cli("inspect", file, "--json").json
    assert (shown["kind"], shown["scheme"], shown["num_ngrams"]) == ("scheme", "dictionary", 3)
    assert shown["ngrams"] == [
        {"order": 2, "ngrams": 2},
        {"order": 3, "ngrams": 1},
        {"order": 4, "ngrams": 0},
    ]
    assert shown["layers"] == [{"layer": 0, "num_rows": 3}]
    built = run_cli("build", "--scheme", file, "--row-dim", 64, "-o", tables, "-q")
    assert built.exit_code == 0, built.stderr
    assert run_cli("verify", tables).exit_code == 0
    assert run_cli("inspect", tables, "--json").json["num_ngrams"] == 3
    rows = run_cli("rows", folder / "tokens.jsonl", "--scheme", tables)
    assert rows.stdout == '{"rows":{"0":[[-1],[-1],[0],[2],[-1],[1]]}}\n'
    measured = run_cli("bench", tables, "--tier", "host", *SMALL_BENCH)
    assert measured.exit_code == 0, measured.stderr
    assert "dictionary at the input embedding" in measured.stdout
    refused = run_cli("inspect", file, "--counts", folder)
    assert refused.exit_code in (1, 2)
    assert "a dictionary" in refused.stderr


def test_a_table_of_no_rows_is_refused(run_cli: RunCli, tmp_path: Path) -> None:
    file = tmp_path / "empty.json"
    file.write_text(json.dumps(DictionaryScheme.of([], vocab_size=9).to_dict()))
    refused = run_cli("build", "--scheme", file, "-o", tmp_path / "tables")
    assert refused.exit_code == 2
    assert "0 rows cannot be stored" in refused.stderr
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (("--scheme", "dictionary"), 2, "--counts"),
        (("--scheme", "dictionary", "--counts", "{}/none"), 1, "none"),
        (("--scheme", "dictionary", "--counts", "{}/counts", "--slots", 9), 2, "no --slots"),
        (("--scheme", "dictionary", "--counts", "{}/counts", "--entries", 0), 2, "is too small"),
        (("--scheme", "dictionary", "--counts", "{}/counts", "--min-count", 99), 2, "99 times"),
        (("--scheme", "dictionary", "--counts", "{}/counts", "--orders", "5"), 1, "lacks n-grams"),
        (("--scheme", "engram", "--counts", "{}/counts"), 2, "--counts says how a dictionary"),
        (("--scheme", "{}/dictionary.json", "--min-count", 3), 2, "--min-count says how"),
        (("--scheme", "{}/dictionary.json", "--orders", "2"), 2, "--orders would change"),
    ],
)
def test_contradicting_options_are_one_clear_error(
    run_cli: RunCli, folder: Path, words: tuple[object, ...], code: int, message: str
) -> None:
    filled = [str(word).replace("{}", str(folder)) for word in words]
    result = run_cli("rows", folder / "tokens.jsonl", *filled)
    assert result.exit_code == code, result.stderr
    assert message in result.stderr
    assert result.stdout == ""


def test_ids_outside_the_vocabulary_are_named(
    run_cli: RunCli, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "bad.jsonl").write_text("[1, 16]\n")
    words = ("rows", tmp_path / "bad.jsonl", *FROM_COUNTS, "--counts", folder / "counts", "-q")
    refused = run_cli(*words)
    assert refused.exit_code == 1
    assert "position 1: the token id is outside the vocabulary" in refused.stderr
    assert json.loads(run_cli(*words, "--vocab-size", 17).stdout) == {"rows": {"0": [[-1], [-1]]}}
