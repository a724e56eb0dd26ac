"""Every scheme that build makes is measured, with the fusion that belongs to it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engramctl.arms.ground import Ground
from engramctl.arms.step import StepArm
from engramctl.arms.subject import Subject
from engramctl.arms.waits import Clock, Waits
from engramctl.arms.window import Window
from engramctl.bench.run import run_bench
from engramctl.fusion.used_rows import used_rows
from engramctl.hashing import PRESETS, DictionaryScheme, make_scheme
from engramctl.layers.fusions import KINDS
from engramctl.model.decoder import Decoder
from engramctl.model.memory_of import memory_of
from engramctl.model.presets import preset
from engramctl.storage import open_store
from engramctl.sweep.options import BenchOptions
from engramctl.traffic.trace import Trace
from tests.conftest import RunCli
from tests.helpers.small_bench import SMALL_BENCH
from tests.helpers.small_table import built_table

DICTIONARY = DictionaryScheme.of([(5, 9), (7, 5, 9), (1, 2), (3, 1, 4)], vocab_size=64)
LONGCAT_NEXT = make_scheme("longcat-next", vocab_size=50, slots=11, specials=[(50, 60)])
# A scheme of each fusion, and those whose tokens or rows count for nothing at times.
SCHEMES = [
    "engram", "engram-27b", "deepseek-v41", "qwen-ple", "over-encoding", "longcat", "longcat-next",
    "longcat-special-scope", "blt",
]  # fmt: skip
OPTIONS: dict[str, Any] = {
    "tiers": ("host", "ssd"), "cases": ("lookup", "step"), "cache": "warm", "samples": 3,
    "tokens": 4, "context": 3, "preset": "tiny",
}  # fmt: skip


def measured(folder: Path, **changes: Any) -> dict[str, Any]:
    return run_bench(folder, BenchOptions(**{**OPTIONS, **changes}), lambda _: None)


def assert_measured(document: dict[str, Any]) -> None:
    assert {case["status"] for case in document["cases"]} == {"ok"}
    assert sum(case["check"]["mismatches"] for case in document["cases"]) == 0
    assert {case["name"] for case in document["cases"]} == {"lookup", "step"}


@pytest.mark.parametrize("name", SCHEMES)
def test_a_scheme_is_measured_with_its_own_fusion(name: str, tmp_path: Path) -> None:
    document = measured(built_table(tmp_path / name, make_scheme(name, slots=101)))
    assert_measured(document)
    assert document["config"]["memory"]["fusion"] == PRESETS[name].fuse
    places = document["config"]["memory"]["places"].values()
    assert all((place == "input") == KINDS[PRESETS[name].fuse].at_input for place in places)  # type: ignore[index]


def test_a_dictionary_is_measured_on_text_that_it_knows(tmp_path: Path) -> None:
    document = measured(built_table(tmp_path / "tables", DICTIONARY))
    assert_measured(document)
    assert document["config"]["memory"] == {"fusion": "dictionary", "places": {"0": "input"}}


def test_text_of_a_dictionary_is_its_ngrams() -> None:
    for trace in ("uniform", "zipf"):
        window = Trace.of(trace, DICTIONARY, 0).window(1, 300, 2)
        matched = DICTIONARY.row_ids(window.token_ids_BT, 0, window.history_BC) >= 0
        assert matched.mean() > 0.3


@pytest.mark.parametrize("phase", ["decode", "prefill"])
@pytest.mark.parametrize("name", ["dictionary", "longcat-next"])
def test_a_step_gives_the_model_the_mask_and_the_rows_that_count(
    name: str, phase: str, tmp_path: Path
) -> None:
    scheme = DICTIONARY if name == "dictionary" else LONGCAT_NEXT
    history, tokens = np.array([[7, 5]]), np.array([[1, 2, 9, 50, 0, 3]])
    if phase == "decode":
        tokens = tokens[:, 3:4]  # no match of the one, a special token of the other
    given: dict[str, Any] = {}

    class Told(Decoder):
        def prefill(self, ids: Any, state: Any, rows: Any = None, mask: Any = None) -> torch.Tensor:
            given.update(mask=mask, rows=rows(0))
            return super().prefill(ids, state, lambda _: given["rows"], mask)

        def decode(self, ids: Any, state: Any, rows: Any = None, mask: Any = None) -> torch.Tensor:
            return self.prefill(ids[:, None], state, rows, mask[:, None])

    memory = memory_of(scheme, preset("tiny"), None, None)
    model = Told(preset("tiny", memory=replace(memory, row_dim=32)))
    folder = built_table(tmp_path / "tables", scheme)
    with open_store(folder, "host", dtype=torch.float32) as store:
        ground = Ground(torch.device("cpu"))
        arm = StepArm("host", Subject(store, scheme, "warm"), ground, model, phase, 2)
        arm.prepare(Window(history, tokens))
        arm.run(Waits(Clock(torch.device("cpu"))))
    use = used_rows(scheme, 0, tokens, scheme.row_ids(tokens, 0, history))
    assert use.tokens_BT is not None
    assert not use.tokens_BT.all()
    assert given["mask"].tolist() == use.tokens_BT.tolist()
    if use.heads_BTH is not None:
        counts = torch.from_numpy(use.heads_BTH)
        assert not given["rows"][~counts].any()
        assert given["rows"][counts].all(-1).any() == bool(counts.any())


def test_what_was_used_is_printed_and_recorded(shards: Path, run_cli: RunCli) -> None:
    words = ("bench", shards, "-t", "host", "--case", "lookup", *SMALL_BENCH)
    chosen = ("--fusion", "engram", "--memory-layers", "0,3")
    shown = run_cli(*words, *chosen)
    assert shown.exit_code == 0, shown.stderr
    assert "memory: engram at decoder layers 0 and 3, counted from 0" in shown.stdout
    config = run_cli(*words, *chosen, "--json").json["config"]
    assert config["memory"] == {"fusion": "engram", "places": {"1": 0, "14": 3}}


def test_a_fusion_that_does_not_fit_ends_the_run_before_it_measures(
    shards: Path, run_cli: RunCli
) -> None:
    words = ("bench", shards, "-t", "host", *SMALL_BENCH, "--fusion", "longcat")
    refused = run_cli(*words)
    assert refused.exit_code == 2
    assert "choose another --fusion" in refused.stderr
    gathers = run_cli(*words, "--case", "gather", "--json")
    assert gathers.exit_code == 0
    assert gathers.json["config"]["memory"] is None
