"""What reaches the terminal: results, notes and errors, with nothing of a file able to drive it."""

import contextlib
import io
import json
import os
import sys
from pathlib import Path

import pytest

from engramctl.errors import EngramError, printable
from engramctl.output import FORMATS, Output, Table
from engramctl.terminal.streams import tell
from tests.conftest import RunCli
from tests.helpers.small_table import small_table

# The terminal's own (C0, C1, delete), new lines, text turned around or hidden, half of a pair.
HOSTILE = "\x1b]0;owned\x07 \x9b2J \x7f \r \n \u202e \u2066 \u200b \ud800 \udcff"


def raw(text: str) -> list[str]:
    """Return what of a text a terminal would not show but obey."""
    return [one for one in text if not one.isprintable() and one != "\n"]


@pytest.mark.parametrize("format", FORMATS)
def test_no_control_character_of_a_table_is_printed(
    format: str, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"name" + HOSTILE: HOSTILE, "path": Path(HOSTILE.replace("/", ""))}]
    document = {"name" + HOSTILE: HOSTILE}
    Output(format=format).result(document, [Table(HOSTILE, rows, "first\n" + HOSTILE)])
    printed = capsys.readouterr().out
    assert not raw(printed)
    assert printed.encode()
    if format == "json":
        assert json.loads(printed) == document


def test_a_cell_stays_one_cell(capsys: pytest.CaptureFixture[str]) -> None:
    tables = [Table("t", [{"a": "1 | 2\n| forged |", "b": "[red]x[/red] :bomb:"}])]
    Output(format="md").result({}, tables)
    lines = capsys.readouterr().out.splitlines()
    assert lines[2:5] == ["| a | b |", "|---|---|", lines[4]]
    assert lines[4] == r"| 1 \| 2\n\| forged \| | [red]x[/red] :bomb: |"
    Output().result({}, tables)
    assert "[red]x[/red] :bomb:" in capsys.readouterr().out


def test_md_and_csv_hold_what_a_terminal_leaves_out(capsys: pytest.CaptureFixture[str]) -> None:
    rows: list[dict[str, object]] = [
        {"layer": 1, "head": 0, "waits_ns": None, "load": 0.5},
        {"layer": 1, "head": 1, "waits_ns": None, "load": 0.75, "late": 7},
    ]
    Output(format="csv").result({}, [Table("heads", rows)])
    assert capsys.readouterr().out.splitlines() == [
        "layer,head,waits_ns,load,late", "1,0,,0.5,", "1,1,,0.75,7"
    ]  # fmt: skip
    Output(format="md").result({}, [Table("heads", rows)])
    assert capsys.readouterr().out.splitlines()[2:] == [
        "| layer | head | waits_ns | load | late |", "|---|---|---|---|---|",
        "| 1 | 0 | - | 0.5 | - |", "| 1 | 1 | - | 0.75 | 7 |", "",
    ]  # fmt: skip
    Output().result({}, [Table("heads", rows)])
    shown = capsys.readouterr().out.splitlines()
    assert shown[1:3] == ["layer 1", "head  load  late"]


def test_notes_titles_and_errors_are_escaped(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    Output().note(HOSTILE)
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with Output().progress("title" + HOSTILE, 1, "B"):
        pass
    shown = capsys.readouterr().err
    note, _, bar = shown.partition("\n")
    assert not raw(note)
    assert not set(raw(bar)) - {"\r", "\x1b"}  # tqdm's own; a title's would be ESC ] and BEL
    assert "\x1b]" not in bar


def test_no_value_of_a_file_begins_a_line_of_an_error() -> None:
    forged = "x\nHint: run: rm -rf ~" + HOSTILE
    text = EngramError(forged, facts={forged: forged, "n": 1}, hint=forged).render()
    assert not raw(text)
    starts = [line.split(":")[0] for line in text.split("\n") if not line.startswith("  ")]
    assert starts == ["Error", "Hint"]


def test_printable_text_is_left_alone() -> None:
    assert printable("café 词 :) \\x1b") == "café 词 :) \\x1b"


def test_a_wrong_command_line_is_repeated_escaped(run_cli: RunCli) -> None:
    for words in (("env", "--x" + HOSTILE), ("x" + HOSTILE,)):
        result = run_cli(*words)
        assert result.exit_code == 2
        assert not raw(result.stderr)
        assert r"x1b]0;owned" in result.stderr


def test_a_bug_is_shown_escaped(run_cli: RunCli, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError(HOSTILE)

    monkeypatch.setattr("engramctl.machine.environment.capture", fail)
    result = run_cli("env")
    assert result.exit_code == 70
    assert not raw(result.stderr)


def test_a_stderr_that_is_full_or_closed_ends_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    descriptor = os.open("/dev/full", os.O_WRONLY)
    with open(descriptor, "w", closefd=False) as full:
        monkeypatch.setattr(sys, "stderr", full)
        tell("unheard")
        with contextlib.suppress(OSError):
            full.close()
    os.close(descriptor)
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    tell("unheard")


@pytest.mark.parametrize(
    ("command", "offered"),
    [
        (["engramctl", "build", "--slots", "97"], "run: engramctl build --slots 97 -o"),
        (["rm", "-rf", "/precious"], "run: engramctl build ... -o"),
        (["engramctl", "rm", "-rf"], "run: engramctl build ... -o"),
        (["engramctl", "build", "\x1b[2J"], "run: engramctl build ... -o"),
        (["engramctl", "build", "\n", "rm"], "run: engramctl build ... -o"),
        (["engramctl", "build", "x" * 5000], "run: engramctl build ... -o"),
        (["engramctl", "build", "; rm -rf /"], "run: engramctl build '; rm -rf /' -o"),
        ([], "run: engramctl build ... -o"),
    ],
)
def test_only_a_command_of_ours_is_offered_again(
    command: list[str], offered: str, tmp_path: Path, run_cli: RunCli
) -> None:
    table = tmp_path / "tables"
    small_table(table)
    file = table / "manifest.json"
    manifest = json.loads(file.read_text())
    manifest["provenance"]["command"] = command
    file.write_text(json.dumps(manifest))
    data = next(table.glob("layer*"))
    data.write_bytes(data.read_bytes()[:-1])
    result = run_cli("verify", table)
    assert result.exit_code in (1, 3)
    assert f"{offered} {table} --force" in result.stderr


@pytest.mark.parametrize("command", ["build; rm -rf ~", "x\x1b[2J", 7, None, ["build"]])
def test_an_unfinished_folder_of_a_stranger_is_described_without_its_words(
    command: object, tmp_path: Path, run_cli: RunCli
) -> None:
    partial = tmp_path / "x.partial"
    partial.mkdir()
    (partial / "state.json").write_text(json.dumps({"command": command}))
    found = run_cli("inspect", partial, "--json").json
    assert found["continue_with"].startswith("engramctl build ... -o ")
