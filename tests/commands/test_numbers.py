"""Numbers may be written as people do; those beyond all reason are told before anything is made."""

import typing
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest

from engramctl.cli import COMMANDS
from engramctl.errors import ConfigError
from tests.conftest import RunCli
from tests.helpers.corpora import write_ids


@pytest.mark.parametrize(
    "line",
    [
        f"mine a.parquet -o c --min-count {2**70}",
        f"mine a.parquet -o c --top-k {2**70}",
        f"bench t --samples {2**70}",
        f"bench t --batch {2**62}",
        f"bench t --tokens {2**62}",
        f"bench t --context {2**62}",
        f"bench t --seed {2**70}",
        "bench t --seed -1",
    ],
)
def test_they_are_refused(
    tmp_path: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch, line: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_ids(tmp_path / "a.parquet", [[1, 2, 3]])
    result = run_cli(*line.split())
    assert result.exit_code == 2
    assert line.split()[-2].strip("-").partition("-")[0] in result.stderr
    assert [one.name for one in tmp_path.iterdir()] == ["a.parquet"]


@pytest.mark.parametrize("command", COMMANDS)
def test_every_option_of_a_whole_number_reads_what_people_write(command: str) -> None:
    function = getattr(import_module(f"engramctl.commands.{command}"), command)
    for name, annotated in typing.get_type_hints(function, include_extras=True).items():
        values, *declared = typing.get_args(annotated) or (annotated,)
        if values is int or int in typing.get_args(values) or values == list[int] | None:
            option: Any = declared[0]
            assert option.parser("2e0k") == 2000, name
            with pytest.raises(ConfigError, match=f"--{name.replace('_', '-')} 'x' is not"):
                option.parser("x")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("build --slots 1.5", "--slots '1.5' is not a whole number"),
        ("build --slots -1k", "--slots -1k is too small"),
        ("bench x --samples many", "--samples 'many' is not a whole number"),
        ("rows --layer 1 --layer x", "--layer 'x' is not a whole number"),
        ("mine x -o y --memory lots", "--memory 'lots' is not a size"),
    ],
)
def test_what_is_no_number_is_exit_2_and_names_the_option(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, message: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "x").mkdir()
    answer = run_cli(*words.split())
    assert answer.exit_code == 2
    assert message in answer.stderr


@pytest.mark.parametrize("slots", ["1_000", "1k", "1e3", "1,000"])
def test_the_command_line_and_the_config_read_numbers_alike(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, slots: str
) -> None:
    monkeypatch.chdir(tmp_path)
    words = ("build", "--row-dim", "64", "--dry-run", "--json")
    plain = run_cli(*words, "--slots", 1000)
    assert plain.exit_code == 0
    assert run_cli(*words, "--slots", slots).json == plain.json
    for value in (f'"{slots}"', "1e3"):
        Path("engramctl.toml").write_text(f"[build]\nslots = {value}\n")
        assert run_cli(*words).json == plain.json
    Path("engramctl.toml").write_text("[build]\nslots = true\n")
    assert "--slots 'True' is not a whole number" in run_cli(*words).stderr
