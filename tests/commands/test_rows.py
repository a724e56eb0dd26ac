"""`engramctl rows`: lines in, lines out, and clear words about every wrong one."""

import io
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engramctl.hashing import make_scheme
from engramctl.rows.wrong_variants import VARIANTS
from tests.conftest import CliResult, RunCli, run_in_process

OPTIONS = ("--scheme", "deepseek-v41", "--slots", 500, "--heads", 2, "-q")
SCHEME = make_scheme("deepseek-v41", slots=500, heads_per_order=2)
SEQUENCES = [[17, 4, 17, 4, 9], [], [-1, 5], [129279]]


def lines(*records: object) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def rows_of(ids: list[int], history: list[int] | None = None) -> dict[str, Any]:
    """The expected document of one sequence, by the library."""
    if not ids:
        return {"rows": {"1": [], "14": []}}
    return {"rows": {str(n): SCHEME.row_ids(ids, n, history=history).tolist() for n in (1, 14)}}


@pytest.fixture
def tokens(tmp_path: Path) -> Path:
    (tmp_path / "tokens.jsonl").write_text(lines(*SEQUENCES))
    return tmp_path / "tokens.jsonl"


def with_stdin(monkeypatch: pytest.MonkeyPatch, text: str, *words: object) -> CliResult:
    class Stdin:
        buffer = io.BytesIO(text.encode())

    monkeypatch.setattr(sys, "stdin", Stdin())
    return run_in_process("rows", *words)


def test_every_line_gives_its_rows(
    run_cli: RunCli, tokens: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = run_cli("rows", tokens, *OPTIONS)
    assert result.exit_code == 0, result.stderr
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert found == [rows_of(ids) for ids in SEQUENCES]
    assert with_stdin(monkeypatch, tokens.read_text(), *OPTIONS).stdout == result.stdout
    assert with_stdin(monkeypatch, tokens.read_text(), "-", *OPTIONS).stdout == result.stdout
    assert run_cli("rows", tokens, *OPTIONS, "--json").json == {
        "kernel": "numba",
        "sequences": found,
    }


def test_a_history_is_read_but_gives_no_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    text = lines({"token_ids": [9], "history": [1, 2]}, {"token_ids": [9], "history": []}, [9])
    result = with_stdin(monkeypatch, text, *OPTIONS)
    found = [json.loads(line) for line in result.stdout.splitlines()]
    assert found == [rows_of([9], [1, 2]), rows_of([9]), rows_of([9])]


def test_history_makes_one_sequence_of_all_lines(monkeypatch: pytest.MonkeyPatch) -> None:
    text = lines([5], [6, 7, 8, 9, 10], [], [11], [12, 13])
    result = with_stdin(monkeypatch, text, *OPTIONS, "--history")
    found = [json.loads(line)["rows"]["14"] for line in result.stdout.splitlines()]
    assert list(itertools.chain(*found)) == rows_of([5, 6, 7, 8, 9, 10, 11, 12, 13])["rows"]["14"]
    refused = with_stdin(
        monkeypatch, lines({"token_ids": [1], "history": [2]}), *OPTIONS, "--history"
    )
    assert refused.exit_code == 2


def test_layers_can_be_chosen(run_cli: RunCli, tokens: Path) -> None:
    result = run_cli("rows", tokens, *OPTIONS, "--layer", 14)
    first = json.loads(result.stdout.splitlines()[0])
    assert first == {"rows": {"14": rows_of(SEQUENCES[0])["rows"]["14"]}}
    refused = run_cli("rows", tokens, *OPTIONS, "--layer", 2)
    assert refused.exit_code == 2
    assert "no layer 2" in refused.stderr
    assert refused.stdout == ""


def test_parquet_in_and_out(run_cli: RunCli, tmp_path: Path) -> None:
    sequences = [[17, 4, 17, 4, 9], [], [5]]
    column = pa.array(sequences, pa.list_(pa.int32()))
    pq.write_table(pa.table({"input_ids": column}), tmp_path / "in.parquet")
    out = tmp_path / "rows.parquet"
    result = run_cli("rows", tmp_path / "in.parquet", *OPTIONS, "-o", out, "--json")
    assert result.exit_code == 0, result.stderr
    assert (result.json["sequences"], result.json["positions"]) == (3, 6)
    table = pq.read_table(out)
    assert table.column_names == ["layer01", "layer14"]
    assert table.schema.field("layer01").type == pa.list_(pa.list_(pa.int64(), 6))
    assert table["layer14"].to_pylist() == [rows_of(ids)["rows"]["14"] for ids in sequences]
    assert run_cli("rows", tmp_path / "in.parquet", *OPTIONS, "-o", out).exit_code == 2
    plain = tmp_path / "rows.jsonl"
    assert run_cli("rows", tmp_path, *OPTIONS, "-o", plain, "--column", "x").exit_code == 1
    assert not plain.exists()
    done = run_cli("rows", tmp_path / "in.parquet", *OPTIONS, "-o", plain)
    assert done.exit_code == 0
    assert [json.loads(line) for line in plain.read_text().splitlines()] == [
        rows_of(ids) for ids in sequences
    ]
    assert [one.name for one in tmp_path.iterdir() if "partial" in one.name] == []


def test_the_scheme_of_a_folder_and_of_a_file(run_cli: RunCli, tokens: Path) -> None:
    folder, file = tokens.parent / "tables", tokens.parent / "scheme.json"
    assert run_cli("build", "--slots", 500, "--heads", 2, "-o", folder, "-q").exit_code == 0
    file.write_text(json.dumps(SCHEME.to_dict()))
    expected = run_cli("rows", tokens, *OPTIONS).stdout
    assert run_cli("rows", tokens, "--scheme", folder).stdout == expected
    assert run_cli("rows", tokens, "--scheme", file).stdout == expected
    for name in (folder, file):
        refused = run_cli("rows", tokens, "--scheme", name, "--slots", 9)
        assert refused.exit_code == 2
        assert "--slots" in refused.stderr
    assert run_cli("rows", tokens, "--scheme", "nonsense").exit_code == 2
    assert run_cli("rows", tokens, "--scheme", tokens.parent).exit_code == 1


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("[1, 129280]", "line 2, token_ids, position 1: the token id is outside the vocabulary"),
        ("[-2]", "position 0: the token id is outside"),
        ("[1, 99999999999999999999999]", "position 1: the token id is outside"),
        ("[1, true]", "position 1: not an integer"),
        ("[1, 2.0]", "position 1: not an integer"),
        ("[[1]]", "position 0: not an integer"),
        ("[1, 2", "line 2: not valid JSON"),
        ("[" * 100_000, "line 2: not valid JSON"),
        ("\udcff", "line 2: not valid JSON"),
        ('{"tokens": [1]}', "line 2: not a sequence"),
        ('{"token_ids": [1], "histroy": [2]}', "histroy"),
        ('{"token_ids": [1], "history": [129280]}', "line 2, history, position 0"),
        ('{"token_ids": 7}', "line 2, token_ids: not a list"),
        ("7", "line 2: not a sequence"),
        ("null", "line 2: not a sequence"),
    ],
)
def test_a_wrong_line_is_one_clear_error(
    run_cli: RunCli, tmp_path: Path, line: str, message: str
) -> None:
    file = tmp_path / "tokens.jsonl"
    file.write_bytes(b"[1]\n" + line.encode("utf-8", "surrogateescape") + b"\n")
    result = run_cli("rows", file, *OPTIONS)
    assert result.exit_code == 1
    assert message in result.stderr
    assert "tokens.jsonl" in result.stderr
    assert len(result.stdout.splitlines()) == 1
    told = run_cli("rows", file, *OPTIONS, "--json").json["error"]
    assert told["exit_code"] == 1
    assert message in told["message"] + str(told["facts"])


def test_a_scheme_without_masks_refuses_minus_one(monkeypatch: pytest.MonkeyPatch) -> None:
    result = with_stdin(monkeypatch, "[3, -1]", "--scheme", "longcat")
    assert result.exit_code == 1
    assert "position 1" in result.stderr


def test_a_missing_file_or_contradicting_options(run_cli: RunCli, tokens: Path) -> None:
    missing = run_cli("rows", tokens.parent / "none.jsonl", *OPTIONS)
    assert missing.exit_code == 1
    assert "none.jsonl" in missing.stderr
    assert run_cli("rows", tokens, *OPTIONS, "--explain", 0, "--diff", tokens).exit_code == 2
    assert run_cli("rows", tokens, *OPTIONS, "--column", "ids").exit_code == 2


def test_explain_shows_the_window_and_every_head(run_cli: RunCli, tokens: Path) -> None:
    result = run_cli("rows", tokens, *OPTIONS, "--explain", 1, "--json")
    assert result.exit_code == 0, result.stderr
    expected = rows_of(SEQUENCES[0])["rows"]
    for layer in result.json["layers"]:
        found = [step["row_id"] for step in layer["heads"]]
        assert found == expected[str(layer["layer"])][1]
        assert [one["why"] for one in layer["window"]][2:] == ["fill: before the sequence"] * 2
    text = run_cli("rows", tokens, *OPTIONS, "--explain", 1, "--layer", 1).stdout
    assert "before the sequence" in text
    for number in expected["1"][1]:
        assert str(number) in text
    for position in (5, -1):
        assert run_cli("rows", tokens, *OPTIONS, "--explain", position).exit_code == 2


def test_diff_says_equal_or_what_differs_and_why(run_cli: RunCli, tokens: Path) -> None:
    theirs = tokens.parent / "theirs.jsonl"
    theirs.write_text(run_cli("rows", tokens, *OPTIONS).stdout)
    equal = run_cli("rows", tokens, *OPTIONS, "--diff", theirs, "--json")
    assert equal.exit_code == 0
    assert equal.json["equal"] is True
    assert (equal.json["sequences"], equal.json["compared_ids"]) == (4, 8 * 2 * 6)

    [variant] = [one for one in VARIANTS if one.name == "reversed multipliers"]
    records = []
    for ids in SEQUENCES:
        rows = {n: variant.make(SCHEME, n) for n in SCHEME.layers}
        array = np.array(ids, np.int64)
        records.append(
            {"rows": {n: [] if not ids else make(array, array[:0]).tolist()
                      for n, make in rows.items() if make}}
        )  # fmt: skip
    theirs.write_text(lines(*records))
    differs = run_cli("rows", tokens, *OPTIONS, "--diff", theirs, "--json")
    assert differs.exit_code == 3
    assert [one["name"] for one in differs.json["likely"]] == ["reversed multipliers"]
    assert differs.json["first"]["sequence"] == 0
    shown = run_cli("rows", tokens, *OPTIONS, "--diff", theirs)
    assert shown.exit_code == 3
    assert "reversed multipliers: m_0 is paired with the oldest" in shown.stderr
    assert "sequence 0, position 0, layer 1" in shown.stderr


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[1]\n", "not row ids"),
        ('{"rows": {"one": []}}\n', "'one'"),
        ('{"rows": {"1": [[1.5]]}}\n', "not 64-bit integers"),
        ('{"rows": {"1": [[1], [1, 2]]}}\n', "different numbers"),
        ('{"rows": {"1": [[99999999999999999999]]}}\n', "not 64-bit integers"),
        ('{"rows": \n', "not valid JSON"),
        ('{"rows": {"1": [], "14": []}}\n', "positions, heads"),
        ("", "number of sequences"),
    ],
)
def test_a_broken_file_of_another_engine_is_one_clear_error(
    run_cli: RunCli, tokens: Path, text: str, message: str
) -> None:
    theirs = tokens.parent / "theirs.jsonl"
    theirs.write_text(text)
    result = run_cli("rows", tokens, *OPTIONS, "--diff", theirs)
    assert result.exit_code == 1
    assert message in result.stderr
    assert result.stdout == ""
