"""The surface: help texts, exit codes, stdout and stderr, the config file."""

import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import engramctl
from engramctl import cli
from engramctl.errors import CheckFailed, ConfigError, EngramError, TierUnavailable
from tests.conftest import ROOT, RunCli
from tests.help_texts import FOLDER, help_text


@pytest.mark.parametrize("name", ["", *cli.COMMANDS])
def test_help_is_the_golden_text(name: str) -> None:
    """A new flag is a decision: rewrite the files with `python -m tests.help_texts`."""
    words = (name,) if name else ()
    assert help_text(*words) == (FOLDER / f"{name or 'engramctl'}.txt").read_text()


def test_no_help_text_outlives_its_command() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == {"engramctl", *cli.COMMANDS}


@pytest.mark.parametrize("name", cli.COMMANDS)
def test_every_command_shows_an_example_and_json_and_is_in_the_readme(name: str) -> None:
    text = help_text(name)
    assert f"Example:  engramctl {name}" in text
    assert cli.COMMANDS[name] == text.split("\n\n")[1].strip()
    assert "--json" in text
    assert f"engramctl {name}" in (ROOT / "README.md").read_text()


def test_an_unknown_command_or_option_is_exit_2(run_cli: RunCli) -> None:
    assert run_cli("nonsense").exit_code == 2
    result = run_cli("env", "--nonsense")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert "--nonsense" in result.stderr


@pytest.mark.parametrize("words", [(), *((name,) for name in cli.COMMANDS)])
def test_the_short_help_is_the_help(run_cli: RunCli, words: tuple[str, ...]) -> None:
    answer = run_cli(*words, "-h")
    assert (answer.exit_code, answer.stdout) == (0, run_cli(*words, "--help").stdout)
    assert "  -h, --help" in answer.stdout


@pytest.mark.parametrize(
    ("words", "near"),
    [
        ("row", "did you mean 'rows'?"),
        ("INSPECT", "did you mean 'inspect'?"),
        ("env --jsno", "--json"),
        ("build --slot 5", "did you mean '--slots'?"),
        ("build -slots 5", "did you mean '--slots'?"),
        ("bench x -tier ssd", "did you mean '--tier'"),
        ("bench x --preset smal --dry-run", "did you mean 'small'?"),
        ("rows --scheme dictionry", "did you mean 'dictionary'?"),
        ("bench x --tier sdd", "did you mean 'ssd'?"),
        ("bench x --case setp", "did you mean 'step'?"),
        ("bench x --residual MHC", "did you mean 'mhc' or 'hc'?"),
        ("bench x --cache warn", "did you mean 'warm'?"),
        ("bench x -f jsn", "did you mean 'json'?"),
        ("build --scheme deepseek-v4.1 --dry-run", "did you mean 'deepseek-v41'"),
        ("build --dtype fp16 --dry-run", "did you mean 'f16' or 'bf16'?"),
        ("build --init zero --dry-run", "did you mean 'zeros'?"),
        ("mine c -o d --engine lcoal", "did you mean 'local'?"),
    ],
)
def test_what_is_mistyped_is_answered_with_what_is_near(
    run_cli: RunCli, words: str, near: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").mkdir()
    answer = run_cli(*words.split())
    assert answer.exit_code == 2
    assert near in answer.stderr


def test_what_is_near_nothing_gets_no_question(run_cli: RunCli) -> None:
    assert "did you mean" not in run_cli("zzz").stderr + run_cli("bench", "-f", "zzz").stderr


def test_the_version_is_printed(run_cli: RunCli) -> None:
    assert run_cli("--version").stdout == f"engramctl {engramctl.__version__}\n"


def test_json_is_one_document_on_stdout(run_cli: RunCli) -> None:
    result = run_cli("env", "--json")
    assert result.exit_code == 0
    assert result.json["page_bytes"] > 0
    assert result.stderr == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (EngramError("x"), 1),
        (ConfigError("x"), 2),
        (CheckFailed("x"), 3),
        (TierUnavailable("x"), 4),
    ],
)
def test_an_error_becomes_text_and_its_exit_code(
    error: EngramError, code: int, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr("engramctl.machine.environment.capture", fail)
    result = run_cli("env")
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", "Error: x\n")
    monkeypatch.setenv("ENGRAMCTL_DEBUG", "1")
    with pytest.raises(type(error)):
        cli.run(["env"])


def test_a_bug_shows_its_traceback_and_exits_70(
    run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engramctl.machine.environment.capture", lambda *_: 1 / 0)
    result = run_cli("env")
    assert result.exit_code == 70
    assert "ZeroDivisionError" in result.stderr


def test_an_error_shows_facts_aligned_and_ends_with_the_hint() -> None:
    error = ConfigError("it broke", facts={"a": 1, "expected": "two"}, hint="run: engramctl env")
    assert error.render() == (
        "Error: it broke\n  a         1\n  expected  two\nHint: run: engramctl env"
    )


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_ends_with_its_code(number: signal.Signals, code: int, tmp_path: Path) -> None:
    script = (
        "import engramctl.machine.environment as e, os, time\n"
        f"e.capture = lambda *_: (os.kill(os.getpid(), {int(number)}), time.sleep(60))\n"
        "from engramctl.cli import main\nimport sys\nsys.argv = ['engramctl', 'env']\nmain()"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, capture_output=True, timeout=50, check=False
    )
    assert done.returncode == code
    assert b"Traceback" not in done.stderr


def test_the_config_file_feeds_options_and_the_command_line_beats_it(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("engramctl.toml").write_text("[env]\njson = true\n")
    assert run_cli("env").json["python"]
    Path("other.toml").write_text("[env]\njson = false\n")
    assert run_cli("env", "--config", "other.toml").stdout.startswith("this machine")
    assert run_cli("env", "--config", "other.toml", "--json").json["python"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[env]\ncolour = 1\n", "unknown key 'colour' in [env]"),
        ("[env]\njsno = 1\n", "did you mean 'json'?"),
        ("[evn]\n", "did you mean 'env'?"),
        ("[environment]\n", "unknown section [environment]"),
        ("json = true\n", "unknown section [json]"),
        ("[env\n", "not valid TOML"),
        ("[env]\njson = " + "[" * 30_000, "not valid TOML"),
        ("[env]\njson = " + "9" * 5_000, "not valid TOML"),
        ("[env]\njson = '\udcff'\n", "not valid TOML"),
        ("#" * 70_000, "too large"),
        ("a." * 300 + "b = 1", "too many dots"),
    ],
)
def test_a_wrong_config_is_exit_2(
    text: str, message: str, run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("engramctl.toml").write_bytes(text.encode(errors="surrogateescape"))
    result = run_cli("env")
    assert result.exit_code == 2
    assert message in result.stderr


def test_a_missing_config_is_exit_2(run_cli: RunCli, tmp_path: Path) -> None:
    result = run_cli("env", "--config", tmp_path / "none.toml")
    assert result.exit_code == 2
    assert "cannot read config" in result.stderr


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_in_a_kernel_that_returns_arrays_is_no_bug(
    number: signal.Signals, code: int
) -> None:
    """numba makes a SystemError of what a handler raises while it hands an array over."""
    lines = f"""
        import signal, sys
        import numpy as np
        from numba import types
        from engramctl import cli
        from engramctl.runtime.kernel_cache import njit

        send = types.ExternalFunction("raise", types.int32(types.int32))

        @njit()
        def interrupted():
            send({int(number)})
            return np.zeros(1), 1

        cli.run_words = lambda *_: interrupted()
        signal.signal(signal.SIGTERM, cli.terminate)
        sys.exit(cli.run([]))
    """
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(lines)], capture_output=True, text=True, cwd=ROOT
    )
    assert (found.returncode, found.stderr) == (code, "")
