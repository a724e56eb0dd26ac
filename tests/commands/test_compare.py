"""`engramctl compare`: every form, the exit codes, and errors that say what to do."""

import csv
import io
import json
from pathlib import Path

import pytest

from engramctl.results.document import as_current
from tests.comparison.noisy import Machine, noisy_result
from tests.conftest import RunCli
from tests.helpers.small_table import small_table

QUIET = Machine(sample=0.01, wander=0.002, run=0.002, place=0.001)


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path, Path]:
    """A result, one of the same build, and one that is slower by a fifth."""
    made = tmp_path / "old.json", tmp_path / "same.json", tmp_path / "slow.json"
    for seed, (path, slower) in enumerate(zip(made, (1.0, 1.0, 1.2), strict=True)):
        path.write_text(json.dumps(noisy_result(seed, QUIET, slower)))
    return made


def test_a_slower_build_ends_with_three_and_names_its_rows(
    files: tuple[Path, Path, Path], run_cli: RunCli
) -> None:
    old, same, slow = files
    assert run_cli("compare", old, same, "--fail-if", "p50:5%").exit_code == 0
    found = run_cli("compare", old, slow, "--fail-if", "p50:5%")
    assert found.exit_code == 3
    assert "6 of 7 judged rows" in found.stderr
    assert "lookup.decode.ssd.warm.b1 p50" in found.stderr
    assert found.stdout.count("FAILS") == 6
    assert run_cli("compare", old, slow).exit_code == 0
    assert run_cli("compare", old, slow, "--fail-if", "p50:40%").exit_code == 0


def test_a_case_that_went_wrong_in_new_fails_a_gate(
    files: tuple[Path, Path, Path], run_cli: RunCli
) -> None:
    old, same, _ = files
    document = json.loads(same.read_text())
    document["cases"][0] |= {"status": "failed", "reason": "wrong rows"}
    same.write_text(json.dumps(document))
    found = run_cli("compare", old, same, "--fail-if", "p50:5%")
    assert found.exit_code == 3
    assert "wrong rows" in found.stderr
    assert "1 cases were not judged" in found.stderr


@pytest.mark.parametrize("form", ["table", "md"])
def test_what_differs_stands_first_and_then_the_ratios(
    files: tuple[Path, Path, Path], run_cli: RunCli, form: str
) -> None:
    old, _, slow = files
    document = json.loads(slow.read_text())
    document["environment"]["cpu"] = "another \x1b[2J"
    slow.write_text(json.dumps(document))
    found = run_cli("compare", old, slow, "-f", form)
    text = found.stdout
    assert "\x1b" not in text
    assert text.index("not the same") < text.index("machine: cpu") < text.index("change")
    assert "no difference seen" in text
    assert "slower" in text
    assert "None" not in text


def test_csv_and_json_have_the_rows_as_numbers(
    files: tuple[Path, Path, Path], run_cli: RunCli
) -> None:
    old, same, slow = files
    rows = list(csv.DictReader(io.StringIO(run_cli("compare", *files, "-f", "csv").stdout)))
    document = run_cli("compare", *files, "--json").json
    assert document["schema"] == "engramctl.compare/1"
    assert [row["ratio"] for row in rows] == [str(row["ratio"]) for row in document["rows"]]
    assert {row["file"] for row in rows} == {str(same), str(slow)}
    assert document["old"] == str(old)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--fail-if", "5%"), "cannot be read"),
        (("--fail-if", "p50:5"), "cannot be read"),
        (("--fail-if", "p50:-5%"), "cannot be read"),
        (("--fail-if", "p51:5%"), "unknown percentile"),
        (("--fail-if", "p50:5%", "--fail-if", "p50:6%"), "twice"),
        (("--fail-if", "p99:5%"), "too few samples"),
        (("--allow-different", "tabel"), "did you mean 'table'"),
    ],
)
def test_words_that_cannot_be_meant_are_refused(
    files: tuple[Path, Path, Path], run_cli: RunCli, words: tuple[str, ...], said: str
) -> None:
    found = run_cli("compare", *files[:2], *words)
    assert found.exit_code == 2
    assert said in found.stderr
    assert found.stdout == ""


@pytest.mark.parametrize("content", ["", "{", "[1]", '{"schema": "engramctl.table/1"}', "\x00\xff"])
def test_what_is_no_result_is_one_clear_error(
    files: tuple[Path, Path, Path], run_cli: RunCli, tmp_path: Path, content: str
) -> None:
    (tmp_path / "other").write_text(content)
    for pair in ((files[0], tmp_path / "other"), (tmp_path / "other", files[0])):
        found = run_cli("compare", *pair)
        assert found.exit_code == 1
        assert "other is no result of engramctl bench" in found.stderr
    assert run_cli("compare", files[0], tmp_path / "nowhere").exit_code == 1


def test_a_limit_may_stand_in_the_config_file(
    files: tuple[Path, Path, Path],
    run_cli: RunCli,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("engramctl.toml").write_text('[compare]\nfail-if = ["p50:5%"]\n')
    assert run_cli("compare", files[0], files[2]).exit_code == 3


def test_bench_ends_with_how_to_compare_where_it_kept_a_file(
    tmp_path: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_table(tmp_path / "shards", tier="host")
    document = as_current(noisy_result(0, QUIET))
    monkeypatch.setattr("engramctl.bench.run.run_bench", lambda *_, **__: document)
    words = ("bench", tmp_path / "shards", "-o", tmp_path / "r.json", "--force")
    hint = f"engramctl compare {tmp_path / 'r.json'} OTHER.json"
    assert run_cli(*words).stderr.rstrip().endswith(hint)
    assert hint not in run_cli(*words, "-q").stderr
    assert "compare" not in run_cli(*words[:2]).stderr
