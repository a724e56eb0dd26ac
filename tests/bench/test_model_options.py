"""`--set`, `--layers` and `--model-dtype`: what is measured, what is recorded, what is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch

from engramctl.measured import model as measured_model
from engramctl.measured import opened
from tests.conftest import RunCli
from tests.helpers.small_bench import SMALL_BENCH
from tests.helpers.small_table import small_table

STEP = ("--tier", "host", "--case", "step", *SMALL_BENCH, "--json")
LARGE = ("--tier", "host", *SMALL_BENCH[2:], "--preset", "8b", "--json")


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small_table(tmp_path_factory.mktemp("shapes") / "shards", slots=300, tier="ssd").path


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Keep the models that runs make."""
    models: list[Any] = []

    def make(*given: Any) -> Any:
        models.append(measured_model.make_models(*given))
        return models[-1]

    monkeypatch.setattr(opened, "make_models", make)
    return models


def test_sizes_depth_and_dtype_are_measured_and_recorded(
    shards: Path, run_cli: RunCli, made: list[Any]
) -> None:
    words = ("--set", "width=32", "--set", "num_kv_heads=4", "--layers", "3")
    result = run_cli("bench", shards, *STEP, *words, "--model-dtype", "bf16")
    assert result.exit_code == 0, result.stderr
    for model in (made[0].without, made[0].with_memory):
        assert (model.config.width, model.config.num_kv_heads) == (32, 4)
        assert len(model.layers) == 3
        assert model.dtype == torch.bfloat16
    assert made[0].without.embedding is made[0].with_memory.embedding
    config = result.json["config"]
    assert config["settings"] == ["width=32", "num_kv_heads=4"]
    assert (config["layers"], config["model_dtype"]) == (3, "bf16")
    said = "cut to the first 3 of the 4 layers of tiny"
    assert said in result.stderr
    assert any(said in warning for warning in result.json["warnings"])
    assert all(case["check"]["mismatches"] == 0 for case in result.json["cases"])


def test_a_whole_model_is_recorded_as_such(shards: Path, run_cli: RunCli) -> None:
    result = run_cli("bench", shards, *STEP)
    config = result.json["config"]
    assert (config["settings"], config["layers"], config["model_dtype"]) == ([], None, "f32")
    assert "cut to" not in result.stderr


def test_a_model_that_does_not_fit_is_refused_before_anything_is_made(
    shards: Path, run_cli: RunCli, made: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured_model, "available_bytes", lambda: 20 << 30)
    stores: list[str] = []
    monkeypatch.setattr(opened, "opened_store", lambda *given: stores.append("store"))
    result = run_cli("bench", shards, "--case", "step", *LARGE)
    assert result.exit_code == 1
    assert not made
    assert not stores
    for word in ("a model of 8b does not fit", "weights", "cache", "streams", "20.0 GiB"):
        assert word in result.stdout + result.stderr
    assert "--layers" in result.stdout + result.stderr


def test_gathers_alone_need_no_model(
    shards: Path, run_cli: RunCli, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(measured_model, "available_bytes", lambda: 1 << 20)
    result = run_cli("bench", shards, "--case", "gather", *LARGE, "--layers", "2")
    assert result.exit_code == 0
    assert "cut to" not in result.stderr


@pytest.mark.parametrize(
    "words",
    [
        ("--set", "widht=3"),
        ("--set", "width"),
        ("--set", "num_kv_heads=3"),
        ("--layers", "0"),
        ("--layers", "9"),
        ("--model-dtype", "f16"),
    ],
)
def test_wrong_shapes_are_exit_2(shards: Path, run_cli: RunCli, words: tuple[str, ...]) -> None:
    result = run_cli("bench", shards, *SMALL_BENCH, *words)
    assert result.exit_code == 2
    assert result.stdout == ""
