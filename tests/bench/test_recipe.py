"""`bench --recipe`: the paper's offload test, cut until it takes a second."""

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from engramctl.shown.recipe_tables import recipe_tables
from tests.conftest import ROOT, RunCli
from tests.helpers.one_thread import one_thread

__all__ = ["one_thread"]
WORDS = (
    "--recipe", "engram-offload", "--preset", "tiny", "--batch", "3", "--sequences", "15",
    "--lengths", "2-6", "--set", "vocab_size=512",
)  # fmt: skip


def test_a_recipe_gives_the_rate_with_and_without_the_memory(
    shards: Path, run_cli: RunCli, tmp_path: Path
) -> None:
    out = tmp_path / "r.json"
    result = run_cli("bench", shards, *WORDS, "-o", out, "--json")
    assert result.exit_code == 0, result.stderr
    schema = json.loads((ROOT / "docs" / "result.schema.json").read_text())
    jsonschema.Draft202012Validator(schema).validate(result.json)
    cases = {case["tier"]: case for case in result.json["cases"]}
    assert set(cases) == {"none", "host"}
    for case in cases.values():
        assert (case["phase"], case["status"], case["tokens"]) == ("sequences", "ok", 12)
        assert len(case["samples_ns"]) == 5
    assert cases["host"]["resolution_percent"] is not None
    assert cases["host"]["check"]["mismatches"] == 0
    assert cases["host"]["check"]["rows"]
    found = result.json["recipe"]
    assert result.json["config"]["recipe"] == found["name"] == "engram-offload"
    assert {one["what"] for one in found["cut"]} >= {"sequences", "lengths", "layers of tiny"}
    (row,) = found["rows"]
    assert row["without_tokens_per_s"] == cases["none"]["tokens_per_s"]
    assert row["with_tokens_per_s"] == cases["host"]["tokens_per_s"]
    shown = run_cli("inspect", out)
    for words in ("recipe engram-offload", "not the whole test: ", "lengths 2 to 6 of 100 to"):
        assert words in " ".join(shown.stdout.split())


def test_a_recipe_makes_its_own_table_even_beside_shards(
    shards: Path, run_cli: RunCli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "shards").symlink_to(shards)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("engramctl.measured.folder.table_of", small)
    result = run_cli("bench", *WORDS, "--json")
    assert result.exit_code == 0, result.stderr
    assert "the recipe's own table: a temporary engram-27b table" in result.stderr
    assert list(result.json["config"]["num_rows"]) == ["1"]
    assert result.json["config"]["memory"]["places"] == {"1": 1}


def small(name: str, *, on_gpu: bool) -> dict[str, Any]:
    assert (name, on_gpu) == ("engram-offload", False)
    return {"scheme": "engram-27b", "layers": (1,), "row_dim": 16, "slots": 60}


ROW = {
    "id": "", "preset": "4b", "tier": "host", "without_tokens_per_s": 50.0,
    "with_tokens_per_s": 49.0, "less_percent": 2.0, "resolution_percent": 1.0,
    "published_without_tokens_per_s": 9031.62, "published_with_tokens_per_s": 8858.28,
    "published_less_percent": 1.919,
}  # fmt: skip


@pytest.mark.parametrize(("resolution", "less"), [(1.0, "2 %"), (3.0, "below resolution")])
def test_published_figures_stand_beside_as_context(resolution: float, less: str) -> None:
    row = ROW | {"resolution_percent": resolution}
    recipe = {"name": "n", "source": "S", "hardware": "one H", "cut": [], "rows": [row]}
    (table,) = recipe_tables(recipe)
    assert table.rows[0]["published"] == "9,031.62 to 8,858.28, -1.9 %"
    assert table.rows[0]["less"] == less
    assert "on one H: another machine" in table.caption
    assert "not the whole test" not in table.caption
    assert recipe_tables(None) == []
