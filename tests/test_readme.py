"""What the README shows is what happens: its blocks are run, its tables are the commands' own."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest

from engramctl.corpus.sample import write_sample_corpus
from engramctl.demo.view import tier_rows
from tests.conftest import ROOT, RunCli

README = (ROOT / "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, flags=re.DOTALL)


def test_the_pipeline_by_hand_and_the_python_block_run(
    run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_sample_corpus(tmp_path, max_bytes=400_000, vocab_size=2000)
    monkeypatch.chdir(tmp_path)
    lines = [line for block in blocks("sh") for line in block.splitlines() if line.strip()]
    assert lines
    for line in lines:
        program, *words = shlex.split(line)
        assert program == "engramctl"
        result = run_cli(*words)
        assert result.exit_code == 0, f"{line}\n{result.stderr}"
    for block in blocks("python"):
        names: dict[str, Any] = {}
        exec(compile(block, "README.md", "exec"), names)
        assert tuple(names["row_ids"].shape) == (1, 4, 24)
        assert tuple(names["rows"].shape) == (1, 4, 24, names["store"].row_dim)
        for layer in names["scheme"].layers:
            assert f"{names['scheme'].num_rows(layer):,}" in README


def test_the_demo_table_has_the_columns_the_demo_prints() -> None:
    case = {
        "tier": "host", "cache": "warm", "phase": "decode", "status": "ok", "reason": None,
        "p50_ns": 1, "p99_ns": 1, "rows_per_s": 1, "useful_bytes": 1,
        "resolution_percent": 0.5, "against": {"none_percent": 1.0},
    }  # fmt: skip
    result = {
        "config": {"tiers": ["host"]},
        "cases": [
            {**case, "name": name, "phase": phase}
            for name in ("gather", "step")
            for phase in ("decode", "prefill")
        ],
    }
    [row] = tier_rows(result)
    shown = next(line for line in README.splitlines() if line.lstrip().startswith("tier  "))
    assert re.split(r"\s{2,}", shown.strip()) == list(row)


def test_every_file_the_readme_links_exists() -> None:
    links = re.findall(r"\]\(([^)#]+)\)", README)
    assert links
    for link in links:
        assert (ROOT / link).exists()


def test_benchmark_names_are_the_ones_that_exist() -> None:
    from tests.benchmarks.__main__ import NAMES

    for name in NAMES:
        assert f"`{name}`" in README
        assert (ROOT / "tests" / "benchmarks" / f"{name}.py").exists()
