"""Options given twice, and the one JSON document that every command line gives."""

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from engramctl.arguments.words import asks_for_json
from engramctl.errors import EngramError
from tests.conftest import ROOT, RunCli
from tests.helpers.small_table import small_table


@pytest.mark.parametrize(
    ("words", "option", "found"),
    [
        ("bench x --samples 1 --samples 8", "--samples", "1, 8"),
        ("bench x --cache cold --cache=warm", "--cache", "cold, warm"),
        ("bench x -o a.json --out b.json", "--out", "a.json, b.json"),
        ("build --slots 1 --slots 1", "--slots", "1, 1"),
        ("mine c -o d --memory 1GiB --memory 2GiB", "--memory", "1GiB, 2GiB"),
        ("env --config a.toml --config b.toml", "--config", "a.toml, b.toml"),
    ],
)
def test_an_option_of_one_value_given_twice_names_both(
    run_cli: RunCli, words: str, option: str, found: str
) -> None:
    answer = run_cli(*words.split(), "--json")
    assert answer.exit_code == 2
    assert f"Error: {option} takes one value: {found}" in answer.stderr
    assert answer.json["error"]["facts"]["found"] == f"2: {found}"


def test_flags_and_options_of_several_values_may_be_repeated(
    run_cli: RunCli, tmp_path: Path
) -> None:
    shards = small_table(tmp_path / "shards").path
    words = ("--tier", "host", "-t", "ssd", "--case", "gather", "--case", "step", "-q", "-q")
    answer = run_cli("bench", shards, *words, "--dry-run", "--json")
    assert answer.exit_code == 0
    assert {case["tier"] for case in answer.json["cases"]} == {"host", "ssd"}


@pytest.mark.parametrize(
    ("line", "found"),
    [("samples = [1, 8]", "1, 8"), ('trace = ["zipf"]', "zipf"), ("quiet = []", "an empty list")],
)
def test_a_list_in_the_config_for_an_option_of_one_value_is_refused(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, line: str, found: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("engramctl.toml").write_text(f"[bench]\n{line}\n")
    answer = run_cli("bench", "x")
    assert answer.exit_code == 2
    option = line.split()[0]
    assert f"{option} in [bench] of engramctl.toml takes one value: {found}" in answer.stderr


def test_a_given_option_beats_its_rival_in_the_config(run_cli: RunCli, tmp_path: Path) -> None:
    config = tmp_path / "engramctl.toml"
    words = ("build", "-o", tmp_path / "t", "--row-dim", "32", "--config", config, "--json")
    config.write_text('[build]\nsize = "3MiB"\nif-needed = true\n')
    assert run_cli(*words, "--slots", "50").json["layers"]
    again = run_cli(*words, "--slots", "50", "--force")
    assert again.exit_code == 0, again.stderr
    assert "up_to_date" not in again.json
    config.write_text("[build]\nslots = 50\nforce = true\n")
    assert run_cli(*words, "--size", "3MiB", "--dry-run").json["size_bytes"] == 3 << 20
    run_cli(*words, "--if-needed")
    assert run_cli(*words, "--if-needed").json["up_to_date"] is True
    refused = run_cli(*words, "--force", "--if-needed")
    assert refused.exit_code == 2


def test_lists_in_the_config_stay_for_options_of_several_values(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    small_table(tmp_path / "shards")
    monkeypatch.chdir(tmp_path)
    Path("engramctl.toml").write_text('[bench]\ntier = ["ssd"]\ndry-run = true\njson = true\n')
    assert {case["tier"] for case in run_cli("bench").json["cases"]} == {"ssd"}


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        ("", False),
        ("env --json", True),
        ("bench -f json", True),
        ("bench --format=json x", True),
        ("bench -fjson", True),
        ("bench -f csv json", False),
        ("bench -f", False),
        ("rows -- --json", False),
    ],
)
def test_words_ask_for_json(words: str, asked: bool) -> None:
    assert asks_for_json(words.split()) == asked


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        ("inspect nope --json", 1, "nope"),
        ("bench nope -f json -q", 1, "nope"),
        ("bench --nonsense -f json", 2, "--nonsense"),
        ("bench --samples many --json", 2, "--samples"),
        ("bench -f nonsense --json --format nonsense", 2, "--format"),
        ("nonsense --json", 2, "nonsense"),
        ("mine --json", 2, "CORPUS"),
    ],
)
def test_an_error_is_one_document_and_its_words_stay(
    run_cli: RunCli, words: str, code: int, message: str
) -> None:
    answer = run_cli(*words.split())
    plain = run_cli(*words.replace("--json", "").replace("-f json", "").split())
    error = answer.json["error"]
    assert list(answer.json) == ["error"]
    assert list(error) == ["message", "facts", "hint", "exit_code"]
    assert (answer.exit_code, error["exit_code"]) == (code, code)
    assert message in error["message"]
    assert plain.exit_code == code
    assert (plain.stdout, plain.stderr) == ("", answer.stderr)


def test_without_json_an_error_leaves_stdout_empty(run_cli: RunCli, tmp_path: Path) -> None:
    """Also when --json is the value of another option."""
    for words in (("verify", "nope"), ("bench", tmp_path, "-o", "--json")):
        assert run_cli(*words).stdout == ""


def test_a_config_that_asks_for_json_gets_errors_as_json(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("engramctl.toml").write_text('[bench]\nformat = "json"\n[verify]\njson = true\n')
    for command in ("bench", "verify"):
        assert "nope" in run_cli(command, "nope").json["error"]["message"]


def test_damage_is_one_document_with_the_file_and_the_place(
    run_cli: RunCli, tmp_path: Path
) -> None:
    folder = small_table(tmp_path / "tables").path
    file = max(folder.glob("*.safetensors"), key=lambda one: one.stat().st_size)
    content = bytearray(file.read_bytes())
    content[-9] ^= 1
    file.write_bytes(content)
    answer = run_cli("verify", folder, "--json")
    error = answer.json["error"]
    assert (answer.exit_code, error["exit_code"]) == (3, 3)
    assert file.name in error["facts"]["file"]
    assert error["hint"] in answer.stderr


def fails_with(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("engramctl.machine.environment.capture", fail)


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (ZeroDivisionError("by nothing"), 70, "this is a bug in engramctl"),
        (RuntimeError("odd"), 70, "this is a bug in engramctl"),
        (MemoryError(), 1, "there is not enough memory for this"),
        (KeyboardInterrupt(), 130, "interrupted"),
        (SystemExit(143), 143, "interrupted"),
    ],
)
def test_whatever_ends_a_command_is_a_document(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int, message: str
) -> None:
    fails_with(monkeypatch, error)
    answer = run_cli("env", "--json")
    found = answer.json["error"]
    assert (answer.exit_code, found["exit_code"], found["message"]) == (code, code, message)
    assert run_cli("env").stdout == ""


def test_debugging_shows_the_traceback_and_the_document(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from engramctl.cli import run

    fails_with(monkeypatch, EngramError("it broke"))
    monkeypatch.setenv("ENGRAMCTL_DEBUG", "1")
    with pytest.raises(EngramError):
        run(["env", "--json"])
    assert json.loads(capsys.readouterr().out)["error"]["message"] == "it broke"


def test_after_a_result_comes_no_second_document(run_cli: RunCli, tmp_path: Path) -> None:
    lines = tmp_path / "tokens.jsonl"
    lines.write_text("[1, 2, 3]\n")
    theirs = tmp_path / "rows.jsonl"
    words = ("rows", lines, "--slots", 50, "--json")
    rows: Any = run_cli(*words).json["sequences"][0]
    layer = next(iter(rows["rows"]))
    rows["rows"][layer][1][0] += 1
    theirs.write_text(json.dumps(rows) + "\n")
    answer = run_cli(*words, "--diff", theirs)
    assert answer.exit_code == 3
    assert answer.json["differing_ids"] == 1


def test_a_signal_from_outside_is_a_document() -> None:
    script = (
        "import engramctl.machine.environment as e, os, time\n"
        f"e.capture = lambda *_: (os.kill(os.getpid(), {int(signal.SIGTERM)}), time.sleep(60))\n"
        "from engramctl.cli import main\nimport sys\n"
        "sys.argv = ['engramctl', 'env', '--json']\nmain()"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, cwd=ROOT)
    assert done.returncode == 143
    assert json.loads(done.stdout)["error"]["facts"] == {"signal": "SIGTERM"}
