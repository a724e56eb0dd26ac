"""The demo is the commands themselves: what it prints can be typed."""

import json
import shlex
import signal
from pathlib import Path
from typing import NoReturn

import pytest

from engramctl.corpus.sample import SampleCorpus, is_sample_corpus, write_sample_corpus
from engramctl.demo import steps
from engramctl.demo.folder import check_folder
from engramctl.demo.view import DURATION, tier_rows
from tests.conftest import CliResult, RunCli, run_in_process
from tests.helpers.corpora import write_ids


@pytest.fixture(scope="module")
def small_demo(tmp_path_factory: pytest.TempPathFactory) -> tuple[CliResult, Path]:
    """One demo on a twentieth of the text, with a small table and the tests' model."""
    folder = tmp_path_factory.mktemp("demo") / "out"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("engramctl.corpus.sample.write_sample_corpus", small_corpus)
        small = tuple("3000" if word == "50000" else word for word in steps.BUILD_OPTIONS)
        patch.setattr(steps, "BUILD_OPTIONS", small)
        patch.setattr(
            steps, "BENCH_OPTIONS", ("--samples", "3", "--tokens", "4", "--preset", "tiny")
        )
        return run_in_process("demo", "-o", folder, "--json"), folder


@pytest.mark.parametrize("name", ["corpus.parquet", "tokenizer.json", "thesis.txt"])
def test_force_replaces_what_a_demo_made_and_nothing_else(
    run_cli: RunCli, tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engramctl.corpus.sample.write_sample_corpus", begun)
    (tmp_path / name).write_text("years of work")
    result = run_cli("demo", "-o", tmp_path, "--force")
    assert result.exit_code in (1, 2)
    assert name in result.stderr
    assert {one.name: one.read_text() for one in tmp_path.iterdir()} == {name: "years of work"}


def test_a_corpus_of_a_demo_is_told_from_others(tmp_path: Path) -> None:
    assert is_sample_corpus(tmp_path)
    made = small_corpus(tmp_path)
    assert is_sample_corpus(tmp_path)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["corpus.parquet", "tokenizer.json"]
    check_folder(tmp_path)
    made.parquet.rename(tmp_path / "elsewhere")
    assert not is_sample_corpus(tmp_path)
    made.parquet.symlink_to("elsewhere")
    assert not is_sample_corpus(tmp_path)
    made.parquet.unlink()
    write_ids(made.parquet, [[1, 2, 3]])
    assert not is_sample_corpus(tmp_path)


def begun(folder: Path) -> NoReturn:
    raise AssertionError(f"the demo began in {folder}")


def small_corpus(folder: Path) -> SampleCorpus:
    return write_sample_corpus(folder, max_bytes=400_000, vocab_size=2000)


def test_the_demo_prints_one_document_and_tells_each_command(
    small_demo: tuple[CliResult, Path],
) -> None:
    result, folder = small_demo
    assert result.exit_code == 0, result.stderr
    assert result.stderr.startswith(DURATION)
    for command, outcome in result.json["results"].items():
        assert f"$ {command}" in result.stderr
        assert outcome
    assert {path.name for path in folder.iterdir()} >= {
        "corpus.parquet", "tokenizer.json", "counts", "tables", "shards-host", "shards-ssd",
        "host.json", "ssd.json",
    }  # fmt: skip
    report = next(path for path in folder.iterdir() if path.name in ("report.html", "report.md"))
    assert f"the report is {report}" in result.stderr
    assert "Latency: gather, decode" in report.read_text()
    for artefact in result.json["artefacts"]:
        path = Path(artefact["artefact"])
        files = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]
        assert artefact["bytes"] == sum(file.stat().st_size for file in files) > 0


def test_the_printed_commands_make_the_same_artefacts_when_typed(
    small_demo: tuple[CliResult, Path], run_cli: RunCli, tmp_path: Path
) -> None:
    result, _ = small_demo
    manifests = [
        Path(a["artefact"]) / "manifest.json"
        for a in result.json["artefacts"]
        if (Path(a["artefact"]) / "manifest.json").exists()
    ]
    before = {path: path.read_bytes() for path in manifests}
    assert before
    for command in result.json["results"]:
        program, verb, *words = shlex.split(command)
        assert program == "engramctl"
        if verb in ("mine", "build", "layout"):
            assert run_cli(verb, *words, "--force").exit_code == 0
        elif verb == "verify":
            assert run_cli(verb, *words).exit_code == 0
    assert {path: path.read_bytes() for path in manifests} == before


def test_the_demo_measures_every_tier_or_says_why_not(
    small_demo: tuple[CliResult, Path],
) -> None:
    result, folder = small_demo
    rows = tier_rows(json.loads((folder / "ssd.json").read_text()))
    assert {row["tier"] for row in rows} >= {"ssd warm"}
    gpu = next(v for k, v in result.json["results"].items() if "--tier gpu" in k)
    for name in ("host", "ssd"):
        command = json.loads((folder / f"{name}.json").read_text())["command"]
        assert shlex.join(command).removesuffix(" --json") in result.json["results"]
    assert "skipped" in gpu or gpu["schema"] == "engramctl.bench/2"


def test_an_existing_folder_is_kept_without_force(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("precious")
    result = run_cli("demo", "-o", tmp_path)
    assert result.exit_code == 2
    assert "--force" in result.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_with_force_every_step_replaces_what_it_makes(tmp_path: Path) -> None:
    makers = [step for step in steps.plan_steps(tmp_path) if step.makes is not None]
    assert len(makers) == 7
    assert all(step.forcible for step in makers)


def test_a_folder_that_cannot_be_made_is_exit_1(run_cli: RunCli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    result = run_cli("demo", "-o", tmp_path / "file" / "below")
    assert result.exit_code == 1
    assert "cannot make" in result.stderr


def test_a_demo_interrupted_in_a_step_ends_as_the_step_would(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*_: object) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("engramctl.corpus.sample.write_sample_corpus", small_corpus)
    monkeypatch.setattr("engramctl.machine.environment.capture", interrupted)
    monkeypatch.setattr(steps, "plan_steps", lambda out: [steps.Step(("env",))])
    result = run_cli("demo", "-o", tmp_path / "out")
    assert result.exit_code == 130
    assert "bug" not in result.stderr
