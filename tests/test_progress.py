"""A bar on a terminal: seen when there is work, and never in the way of a note."""

import io
import sys

import pytest

from engramctl.output import Output
from engramctl.terminal.bar import progress_bar


def terminal(monkeypatch: pytest.MonkeyPatch) -> io.StringIO:
    shown = io.StringIO()
    monkeypatch.setattr(shown, "isatty", lambda: True)
    monkeypatch.setattr(sys, "stderr", shown)
    return shown


def test_a_note_beside_an_open_bar_has_a_line_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = terminal(monkeypatch)
    sink = Output()
    with sink.progress("build", 10, "rows") as advance:
        advance(5)
        sink.note("kept in x.partial")
    sink.note("done")
    before, after = shown.getvalue().split("kept in x.partial\n")
    assert "build:" in before
    assert before.endswith("\r")
    assert not before.rstrip("\r").split("\r")[-1].strip()
    assert after.endswith("done\n")


def test_work_that_may_be_none_has_no_bar_when_there_is_none(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown = terminal(monkeypatch)
    with Output().progress("scale", None, "rows"):
        pass
    assert shown.getvalue() == ""
    with Output().progress("build", 10, "rows"):
        pass
    assert "build:" in shown.getvalue()


@pytest.mark.parametrize(
    ("width", "title", "speed"), [(99, 24, True), (80, 24, False), (60, 5, False)]
)
def test_a_bar_too_long_for_its_terminal_cuts_no_number(
    width: int, title: int, speed: bool
) -> None:
    shown, name = io.StringIO(), "curves, held-out.parquet"
    with progress_bar(name, 693_570, "tokens", file=shown, ncols=width, mininterval=0) as bar:
        for _ in range(3):
            bar.update(100_000)
    lines = [line.rstrip() for line in shown.getvalue().replace("\n", "\r").split("\r")]
    for line in filter(None, lines):
        assert len(line) <= width
        assert line.startswith(name[:title])
        assert line.endswith("]")
    assert ("tokens/s" in shown.getvalue()) == speed


def last_line(shown: io.StringIO) -> str:
    lines = [line.strip() for line in shown.getvalue().replace("\n", "\r").split("\r")]
    return [line for line in lines if line][-1]


@pytest.mark.parametrize(
    ("total", "amount", "unit", "words"),
    [
        (10, 0, "rows", "0 of 10 rows ["),
        (3000, 1200, "windows", "1,200 of 3,000 windows ["),
        (1 << 30, 3 << 20, "B", "3.00 MiB of 1.00 GiB ["),
        (284, 9600, "tokens", "work: 9,600 tokens ["),
    ],
)
def test_a_bar_counts_in_whole_numbers_or_sizes(
    monkeypatch: pytest.MonkeyPatch, total: int, amount: int, unit: str, words: str
) -> None:
    shown = terminal(monkeypatch)
    with Output().progress("work", total, unit) as advance:
        advance(amount)
    assert words in last_line(shown)
    assert ".00rows" not in shown.getvalue()
