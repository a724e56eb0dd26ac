"""Traces, percentiles and where memories sit in a model."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engramctl.errors import ConfigError
from engramctl.model.memory_of import memory_positions
from engramctl.results.document import SCHEMA, Case, p99, percent_over, percentile
from engramctl.sweep.options import BenchOptions
from tests.conftest import ROOT


@given(st.lists(st.integers(0, 10**9), min_size=1), st.integers(1, 100))
def test_a_percentile_is_a_sample_with_enough_samples_below(samples: list[int], p: int) -> None:
    value = percentile(samples, p)
    assert value in samples
    assert sum(sample <= value for sample in samples) >= len(samples) * p / 100
    assert sum(sample < value for sample in samples) < len(samples) * p / 100


def test_overheads_compare_medians() -> None:
    assert percent_over([110, 110, 500], [100, 90, 100]) == pytest.approx(10.0)
    assert percent_over([], [1]) is None


@given(st.lists(st.integers(1, 10**9), max_size=300))
def test_a_p99_has_a_sample_beyond_it(samples: list[int]) -> None:
    value = p99(samples)
    assert (value is None) == (len(samples) < 100)
    if value is not None:
        assert sorted(samples).index(value) < len(samples) - 1 or samples.count(value) > 1


def test_the_document_of_the_format_names_every_key_of_a_case() -> None:
    case = Case(name="gather", phase="decode", tier="host", cache="warm", loop="warm")
    text = (ROOT / "docs" / "result.md").read_text()
    named = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", text, re.MULTILINE)))
    around = ["schema", "created_utc", "command", "environment", "config", "warnings", "cases"]
    around += ["ceilings", "step_fit", "recipe"]
    assert {*case.to_dict(), *around} == set(named)
    assert SCHEMA in text


def test_more_table_layers_than_the_model_has_is_an_error() -> None:
    with pytest.raises(ConfigError, match="does not fit a model of 2"):
        memory_positions((1, 2, 3), own=(1,), depth=2)
    assert memory_positions((5, 6, 7), own=(1,), depth=4) == [0, 1, 2]


def test_caches_of_a_tier() -> None:
    assert BenchOptions(cache="both").caches("ssd") == ("warm", "cold")
    assert BenchOptions(cache="cold").caches("ssd") == ("cold",)
    assert BenchOptions(cache="cold").caches("host") == ()
    assert BenchOptions(cache="both").caches("host") == ("warm",)
