"""Every scheme that build makes is measured, with the fusion that belongs to it."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engramctl.bench.arms import StepArm
from engramctl.bench.ground import Ground
from engramctl.bench.measured_memory import memory_of
from engramctl.bench.ngram_stream import NgramStream
from engramctl.bench.options import BenchOptions
from engramctl.bench.run import run_bench
from engramctl.bench.subject import Subject
from engramctl.bench.trace import Trace, Window
from engramctl.errors import ConfigError
from engramctl.fusion.used_rows import used_rows
from engramctl.hashing import PRESETS, DictionaryScheme, Lookup, make_scheme
from engramctl.layers.fusions import KINDS
from engramctl.model.decoder import Decoder
from engramctl.model.presets import preset
from engramctl.storage import open_store
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
        def _run(self, ids: Any, state: Any, rows: Any, mask: Any) -> torch.Tensor:
            given.update(mask=mask, rows=rows(0))
            return super()._run(ids, state, lambda _: given["rows"], mask)

    model = Told(preset("tiny", memory=of(scheme, row_dim=32)))
    folder = built_table(tmp_path / "tables", scheme)
    with open_store(folder, "host", dtype=torch.float32) as store:
        ground = Ground(torch.device("cpu"))
        arm = StepArm("host", Subject(store, scheme, "warm"), ground, model, phase, 2)
        arm.prepare(Window(history, tokens))
        arm.run()
    use = used_rows(scheme, 0, tokens, scheme.row_ids(tokens, 0, history))
    assert use.tokens_BT is not None
    assert not use.tokens_BT.all()
    assert given["mask"].tolist() == use.tokens_BT.tolist()
    if use.heads_BTH is not None:
        counts = torch.from_numpy(use.heads_BTH)
        assert not given["rows"][~counts].any()
        assert given["rows"][counts].all(-1).any() == bool(counts.any())


def test_text_of_a_dictionary_is_token_ids_and_its_map_gives_the_ngrams() -> None:
    scheme = DictionaryScheme.of([(1, 2), (2, 2, 0)], token_map=np.array([2, 2, 0, 1]))
    ids = NgramStream(scheme).ids(np.array([1, 0]), 5)
    assert ids.tolist() == [0, 0, 2, 3, 0]
    assert scheme.row_ids(ids, 0)[:, 0].tolist() == [-1, -1, 1, -1, 0]


def of(scheme: Lookup, **given: Any) -> Any:
    made = memory_of(scheme, preset("tiny"), given.get("fusion"), given.get("layers"))
    return replace(made, row_dim=given.get("row_dim", made.row_dim))


@pytest.mark.parametrize("name", PRESETS)
def test_every_named_scheme_has_a_memory(name: str) -> None:
    memory = of(make_scheme(name))
    assert memory.fusion == PRESETS[name].fuse
    assert memory.norm_eps == KINDS[memory.fusion].norm_eps
    assert memory.normaliser == (PRESETS[name].normaliser or "mean")


def test_the_normaliser_is_the_schemes() -> None:
    assert of(replace(make_scheme("longcat"), normaliser="word_full")).normaliser == "word_full"


def test_layers_and_fusion_can_be_chosen() -> None:
    scheme = make_scheme("deepseek-v41")
    assert of(scheme).layers == ((1, 1), (3, 14))
    assert of(scheme, layers="2,0").layers == ((0, 1), (2, 14))
    assert of(scheme, fusion="engram").fusion == "engram"
    assert of(make_scheme("longcat"), fusion="qwen-ple", layers="3").layers == ((3, 0),)
    assert of(make_scheme("longcat"), layers="input").layers == (("input", 0),)
    assert of(DICTIONARY, fusion="longcat").num_heads == 1


@pytest.mark.parametrize(
    ("name", "given", "message"),
    [
        ("deepseek-v41", {"layers": "1"}, "a decoder layer for each layer of the table"),
        ("deepseek-v41", {"layers": "1,4"}, "no decoder layer 4"),
        ("deepseek-v41", {"layers": "1,1"}, "once, ascending"),
        ("deepseek-v41", {"layers": "one"}, "is not a list of numbers"),
        ("qwen-ple", {"layers": "input"}, "not at the input"),
        ("longcat", {"layers": "1"}, "no place in a decoder layer"),
        ("deepseek-v41", {"fusion": "longcat"}, "one table at the input, and this one has layers"),
        ("longcat", {"fusion": "dictionary"}, "replaces a token by one row"),
        ("longcat", {"fusion": "ple"}, "unknown fusion 'ple'"),
    ],
)
def test_a_memory_that_cannot_be_is_refused(name: str, given: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        of(make_scheme(name), **given)


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
