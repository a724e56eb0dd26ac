"""At which decoder layers a table's memories are, of whole models and of cut ones."""

from dataclasses import replace

import pytest

from engramctl.errors import ConfigError
from engramctl.hashing import Scheme, make_scheme
from engramctl.measured.model import cut_model, wanted_memory
from engramctl.sweep.options import BenchOptions

SCHEME = make_scheme("deepseek-v41", slots=200)  # layers 1 and 14


def places(options: BenchOptions, scheme: Scheme = SCHEME) -> list[int]:
    return [layer for layer, _ in wanted_memory(options, scheme).layers if layer != "input"]


def test_a_cut_model_is_told_of_with_where_its_memories_went() -> None:
    options = BenchOptions(preset="4b", layers=4)
    assert places(replace(options, layers=None)) == [1, 14]
    assert places(options) == [1, 3]
    words = str(cut_model(options, SCHEME))
    assert "cut to the first 4 of the 36 layers of 4b" in words
    assert words.endswith("memories at layers 1, 14 (counted from 0) move to 1, 3")
    assert "move" not in str(cut_model(replace(options, layers=20), SCHEME))
    fewer = BenchOptions(preset="4b", layers=4, settings=("num_layers=8",))
    assert "of the 8 layers" in str(cut_model(fewer, SCHEME))


def test_nothing_is_told_of_a_whole_model() -> None:
    for options in (
        BenchOptions(preset="4b"),
        BenchOptions(preset="4b", layers=36),
    ):
        assert cut_model(options, SCHEME) is None


def test_layers_that_were_set_win_over_the_tables_own() -> None:
    assert places(BenchOptions(preset="4b", settings=("memory_layers=2,30",))) == [2, 30]
    with pytest.raises(ConfigError, match="must name a decoder layer for each layer of the table"):
        places(BenchOptions(preset="4b", settings=("memory_layers=2",)))


def test_fewer_layers_than_the_table_has_are_refused() -> None:
    with pytest.raises(ConfigError, match="a table of 2 layers does not fit a model of 1"):
        places(BenchOptions(preset="4b", layers=1))
