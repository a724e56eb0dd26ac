"""Recipes set options; what is given beats them, and a result says what was cut."""

import pytest

from engramctl.errors import ConfigError
from engramctl.sweep.chosen import chosen_options
from engramctl.sweep.loops import plan_loops
from engramctl.sweep.recipes import cut_from, recipe_of, with_recipe

NAME = "engram-offload"
OFFLOAD = recipe_of(NAME)
PARAMETERS = 100_000_000_000


def test_without_words_the_recipe_is_the_published_test() -> None:
    found = with_recipe(NAME, {}, on_gpu=True)
    assert found["preset"] == ("4b", "8b")
    assert (found["tier"], found["case"]) == (("host",), ("step.sequences",))
    assert (found["sequences"], found["lengths"]) == (512, (100, 1024))
    assert not found["settings"]
    assert "layers" not in found


def test_what_is_given_beats_the_recipe() -> None:
    options = chosen_options(NAME, preset=["tiny"], lengths="7-9", tier=["ssd"], batch=[3])
    assert (options.preset, options.lengths, options.tiers) == ("tiny", (7, 9), ("ssd",))
    assert (options.recipe, options.residual, options.batch) == (NAME, "none", 3)
    assert options.sweep == {}


def test_a_size_that_is_given_beats_the_size_of_that_name_alone() -> None:
    found = with_recipe(NAME, {"settings": ["ffn_width=64"]}, on_gpu=False)
    assert found["settings"] == ("vocab_size=16384", "ffn_width=64")
    found = with_recipe(NAME, {"settings": ["vocab-size=99"]}, on_gpu=False)
    assert found["settings"] == ("vocab-size=99",)


def test_the_whole_test_has_nothing_cut() -> None:
    whole = chosen_options(
        NAME, layers=[36], sequences=512, lengths="100-1024", settings=["vocab_size=151936"]
    )
    assert cut_from(OFFLOAD, whole, PARAMETERS) == []


def test_what_is_cut_is_named_with_both_sizes() -> None:
    options = chosen_options(
        NAME,
        preset=["4b"],
        layers=[2],
        batch=[4],
        sequences=8,
        settings=["vocab_size=512"],
        lengths="5-6",
    )
    assert [tuple(one.values()) for one in cut_from(OFFLOAD, options, 7)] == [
        ("sequences", 512, 20),  # five waves are the least
        ("lengths", [100, 1024], [5, 6]),
        ("layers of 4b", 36, 2),
        ("vocab_size of 4b", 151_936, 512),
        ("parameters of the table", PARAMETERS, 7),
    ]


def test_an_unknown_recipe_is_refused_and_the_known_one_named() -> None:
    with pytest.raises(ConfigError, match="engram-ofload") as caught:
        chosen_options("engram-ofload")
    assert NAME in str(caught.value.hint)


@pytest.mark.parametrize("text", ["9", "9-", "a-b", "9-7", "0-7"])
def test_lengths_that_are_no_range_are_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="--lengths"):
        chosen_options(lengths=text)


def test_whole_sequences_are_a_case_only_when_they_are_named() -> None:
    assert {loop.phase for loop in plan_loops(chosen_options())} == {"decode", "prefill"}
    loops = plan_loops(chosen_options(case=["step.sequences"], tier=["host"], sequences=60))
    assert [(loop.case, loop.phase) for loop in loops] == [("step", "sequences")]
    assert loops[0].options.num_samples("step", "sequences") == 60
