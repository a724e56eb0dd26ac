"""Counts from which n-grams were left out never pass for whole ones."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy

from engramctl.counts.pruned import pruned_orders
from engramctl.hashing import make_scheme
from tests.conftest import RunCli, run_in_process
from tests.helpers.corpora import write_ids, zipf_documents
from tests.helpers.mined_counts import run

WAYS = {"min": ("--min-count", 3), "top": ("--top-k", 40)}
EXACT = ("load_factor", "expected_reached_slots", "expected_colliding_ngrams")
PLAIN = ("deepseek-v41", "--slots", 300, "--heads", 2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("pruned")
    corpus = write_ids(made / "corpus.parquet", zipf_documents(4, 5_000, 60))
    run("mine", corpus, "-o", made / "whole")
    for name, words in WAYS.items():
        run("mine", corpus, *words, "-o", made / name)
    stops = make_scheme("longcat", vocab_size=60, eos_id=1, slots=300, heads_per_order=2)
    (made / "stops.json").write_text(json.dumps(stops.to_dict()))
    return made


@pytest.mark.parametrize("way", WAYS)
def test_the_load_of_pruned_counts_is_that_of_all_ngrams_and_the_rest_is_bounded(
    way: str, folder: Path
) -> None:
    whole = run("inspect", *PLAIN, "--counts", folder / "whole")
    found = run("inspect", *PLAIN, "--counts", folder / way)
    assert not any("pruned" in text for text in whole["warnings"])
    for one, all_of_it in zip(found["orders"], whole["orders"], strict=True):
        assert all_of_it["pruned"] is None
        assert one["pruned"]["kept"] < one["pruned"]["distinct"] == all_of_it["distinct"]
        assert one["distinct"] == all_of_it["distinct"]
        assert one["accesses"] < all_of_it["accesses"]
        assert one["joint_collisions"] <= all_of_it["joint_collisions"]
        assert one["expected_joint_collisions"] == all_of_it["expected_joint_collisions"]
        for head, other in zip(one["heads"], all_of_it["heads"], strict=True):
            assert [head[name] for name in EXACT] == pytest.approx([other[n] for n in EXACT])
            assert 0 < head["reached_slots"] < other["reached_slots"]
            assert head["unreached_slots"] > other["unreached_slots"]
            assert head["colliding_ngrams"] < other["colliding_ngrams"]
            assert head["overshadowed_percent"] is head["expected_overshadowed_percent"] is None
    assert [text.split(":")[0] for text in found["warnings"]] == ["order 2", "order 3", "order 4"]
    assert all(" ".join(map(str, WAYS[way])) in text for text in found["warnings"])
    shown = run_in_process("inspect", *PLAIN, "--counts", folder / way, "-q").stdout
    assert "the counts are pruned" in " ".join(shown.split())


@pytest.mark.parametrize("way", WAYS)
def test_where_ngrams_may_be_one_window_the_load_is_a_lower_bound_and_says_so(
    way: str, folder: Path
) -> None:
    whole = run("inspect", folder / "stops.json", "--counts", folder / "whole")
    found = run("inspect", folder / "stops.json", "--counts", folder / way)
    said = [text for text in found["warnings"] if "the counts are pruned" in text]
    assert len(said) == 3
    assert all("what chance gives, are lower bounds" in text for text in said)
    for one, all_of_it in zip(found["orders"], whole["orders"], strict=True):
        assert one["distinct"] < all_of_it["distinct"] < one["pruned"]["distinct"]
        for head, other in zip(one["heads"], all_of_it["heads"], strict=True):
            for name in EXACT:
                assert head[name] < other[name]


def test_an_order_that_lost_nothing_is_whole(run_cli: RunCli, tmp_path: Path) -> None:
    corpus = write_ids(tmp_path / "c.parquet", [[1, 2, 3, 4]] * 3)
    run("mine", corpus, "--min-count", 3, "-o", tmp_path / "counts")
    found = run("inspect", *PLAIN, "--counts", tmp_path / "counts")
    assert [one["pruned"] for one in found["orders"]] == [None] * 6
    assert found["warnings"] == []


def notes(*words: object) -> str:
    result = run_in_process(*words)
    assert result.exit_code == 0, result.stderr
    return " ".join(result.stderr.split())


@pytest.mark.parametrize("way", WAYS)
def test_build_layout_and_rows_say_that_their_counts_are_pruned(
    way: str, folder: Path, tmp_path: Path
) -> None:
    embeddings = {"embed": np.ones((60, 64), np.float32)}
    safetensors.numpy.save_file(embeddings, tmp_path / "e.safetensors")
    (tmp_path / "line.jsonl").write_text("[1, 2]\n")
    build = ("build", "--scheme", folder / "stops.json", "--row-dim", 64, "--force",
             "-o", tmp_path / "tables")  # fmt: skip
    mean = ("--init", "token-mean", "--source", tmp_path / "e.safetensors")
    commands: dict[str, tuple[Any, ...]] = {
        "no mean has them": (*build, *mean, "--counts"),
        "others cannot be chosen": (
            "layout", tmp_path / "tables", "--dictionary-budget", "1MiB", "--force",
            "-o", tmp_path / "shards", "--dictionary",
        ),
        "others are not in the dictionary": (
            "rows", tmp_path / "line.jsonl", "--scheme", "dictionary", "--min-count", 1, "--counts",
        ),
    }  # fmt: skip
    for consequence, words in commands.items():
        said = notes(*words, folder / way)
        assert f"was mined with {' '.join(map(str, WAYS[way]))} and holds" in said
        assert consequence in said
        assert "was mined with" not in notes(*words, folder / "whole")


def test_a_dictionary_of_frequent_ngrams_lacks_none_of_counts_that_hold_them_all(
    folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "line.jsonl").write_text("[1, 2]\n")
    words = ("rows", tmp_path / "line.jsonl", "--scheme", "dictionary", "--counts", folder / "min")
    assert "was mined with" not in notes(*words, "--min-count", 3)
    assert "was mined with" in notes(*words, "--min-count", 2)


def test_orders_that_are_no_objects_are_none() -> None:
    orders: list[object] = [None, 2**64, "x", [], {"order": 2, "distinct": 9, "kept": 4}]
    assert list(pruned_orders({"orders": orders})) == [2]
