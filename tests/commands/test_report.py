"""`engramctl report`: what it writes, what it refuses, and what it does without matplotlib."""

import json
import sys
from pathlib import Path

import pytest

from tests.conftest import RunCli
from tests.helpers.corpora import write_ids
from tests.helpers.mined_counts import small_scheme
from tests.helpers.small_bench import SMALL_BENCH
from tests.helpers.small_table import small_table
from tests.results.older import FIRST


@pytest.fixture
def result(tmp_path: Path) -> Path:
    """A result of the first schema."""
    file = tmp_path / "old.json"
    file.write_text(json.dumps(FIRST))
    return file


@pytest.fixture
def no_matplotlib(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)


def test_a_page_is_written_and_each_figure_told(
    run_cli: RunCli, result: Path, tmp_path: Path
) -> None:
    pytest.importorskip("matplotlib")
    out = tmp_path / "report.html"
    done = run_cli("report", result, "-o", out)
    assert done.exit_code == 0, done.stderr
    assert out.read_text().startswith("<!doctype html>")
    assert "latency-gather-decode" in done.stdout
    assert f"wrote {out}" in done.stderr
    again = run_cli("report", result, "-o", out, "--json", "-q", "--force")
    assert again.json["schema"] == "engramctl.report/1"
    assert again.json["written"] == [str(out)]
    assert again.stderr == ""


def test_a_file_is_replaced_only_when_it_is_a_report_and_asked_for(
    run_cli: RunCli, result: Path, tmp_path: Path
) -> None:
    out = tmp_path / "report.md"
    words = ("report", result, "--format", "md", "-o", out)
    out.write_text("precious")
    assert run_cli(*words, "--force").exit_code == 2
    assert out.read_text() == "precious"
    out.unlink()
    assert run_cli(*words).exit_code == 0
    refused = run_cli(*words)
    assert refused.exit_code == 2
    assert "--force" in refused.stderr
    assert run_cli(*words, "--force").exit_code == 0
    assert run_cli("report", result, "--format", "md", "-o", result, "--force").exit_code == 2


def test_without_matplotlib_an_error_says_what_installs_it_and_nothing_is_written(
    run_cli: RunCli, result: Path, tmp_path: Path, no_matplotlib: None
) -> None:
    for form in ("html", "png", "svg"):
        out = tmp_path / "made"
        failed = run_cli("report", result, "--format", form, "-o", out)
        assert failed.exit_code == 2
        assert "pip install 'engramctl[report]'" in failed.stderr
        assert not out.is_file()
        assert not out.is_dir() or not list(out.iterdir())


def test_markdown_needs_no_matplotlib_and_says_what_to_conclude(
    run_cli: RunCli, result: Path, no_matplotlib: None
) -> None:
    done = run_cli("report", result, "--format", "md")
    assert done.exit_code == 0, done.stderr
    lines = done.stdout.splitlines()
    title = lines.index("**Latency: step, decode**")
    assert lines[title + 1 : title + 4 : 2] == ["", "|---|---|---|---|---|"]
    assert "| host | 3 | 101 ns | 101 ns | - |" in lines
    assert any(line.startswith("host has the longest median, 101 ns: 1.01 times") for line in lines)
    assert "below resolution" in done.stdout
    assert all(not line.startswith("|") or lines[at - 1] == "" or lines[at - 1].startswith("|")
               for at, line in enumerate(lines))  # fmt: skip


@pytest.mark.parametrize("form", ["png", "svg"])
def test_pictures_are_a_file_a_figure(
    run_cli: RunCli, result: Path, tmp_path: Path, form: str
) -> None:
    pytest.importorskip("matplotlib")
    folder = tmp_path / "figures"
    done = run_cli("report", result, "--format", form, "-o", folder, "--json")
    written = sorted(str(path) for path in folder.iterdir())
    assert sorted(done.json["written"]) == written
    assert {Path(one).stem for one in written} == {one["key"] for one in done.json["figures"]}
    assert run_cli("report", result, "--format", form, "-o", folder).exit_code == 2
    assert run_cli("report", result, "--format", form, "-o", folder, "--force").exit_code == 0


def test_what_is_no_source_is_named_with_what_to_do(
    run_cli: RunCli, result: Path, tmp_path: Path
) -> None:
    (tmp_path / "folder").mkdir()
    for words in ([tmp_path / "none.json"], [tmp_path / "folder"], [result, result]):
        failed = run_cli("report", *words, "--format", "md")
        assert failed.exit_code in (1, 2)
        assert str(words[-1]) in failed.stderr
    assert run_cli("report", result, "--format", "pdf").exit_code == 2
    broken = tmp_path / "broken.json"
    broken.write_text(json.dumps(FIRST | {"cases": [{"status": "ok"}]}))
    failed = run_cli("report", broken, "--format", "md")
    assert failed.exit_code == 1
    assert "is not as" in failed.stderr


def test_what_can_be_drawn_ends_with_how(run_cli: RunCli, result: Path, tmp_path: Path) -> None:
    corpus = write_ids(tmp_path / "corpus.parquet", [[1, 2, 3] * 30] * 20)
    counts, curves, measured = (tmp_path / name for name in ("counts", "curves", "r.json"))
    assert "engramctl report" not in run_cli("mine", corpus, "-o", counts).stderr
    for path in (result, counts):
        hint = f"engramctl report {path} -o report.html"
        shown = run_cli("inspect", path)
        assert hint in shown.stderr
        assert hint not in shown.stdout
        assert run_cli("inspect", path, "-q").stderr == ""
    scheme = tmp_path / "scheme.json"
    small = small_scheme("deepseek-v41", 4, mapped=False, eos_id=0, slots=50)
    scheme.write_text(json.dumps(small.to_dict()))
    mined = run_cli("mine", corpus, "-o", curves, "--scheme", scheme, "--curves")
    assert mined.stderr.endswith(f"engramctl report {curves} -o report.html\n")
    table = small_table(tmp_path / "table").path
    words = ("bench", table, "--tier", "host", "--case", "gather", *SMALL_BENCH)
    assert "engramctl report" not in run_cli(*words).stderr
    told = run_cli(*words, "-o", measured)
    assert f"engramctl report {measured} -o report.html\n" in told.stderr


def test_results_of_one_name_are_told_apart(run_cli: RunCli, result: Path, tmp_path: Path) -> None:
    other = tmp_path / "b" / "old.json"
    other.parent.mkdir()
    other.write_text(result.read_text())
    shown = run_cli("report", result, other, "--format", "md").stdout
    assert f"| host ({tmp_path.name}/old) |" in shown
    assert "| host (b/old) |" in shown
