"""When a run may fill a dictionary from its own traffic."""

from typing import Any

import pytest

from engramctl.errors import ConfigError
from engramctl.sweep.chosen import chosen_options
from engramctl.sweep.options import DECIDING, BenchOptions

FILLING: dict[str, Any] = {"cache": "traffic", "row_cache_bytes": 1 << 20, "fill": "records.log"}


@pytest.mark.parametrize(
    ("words", "text", "hint"),
    [
        ({"row_cache_bytes": None}, "memory of its own", "--row-cache 1GiB"),
        ({"cache": "both"}, "--cache both reads every sample twice", "add --cache traffic"),
        ({"cache": "cold"}, "--cache cold reads every sample twice", "add --cache traffic"),
        ({"named": True, "tiers": ("ssd", "host")}, "the ssd tier alone", "--tier ssd"),
        ({"named": True, "tiers": ("gpu",)}, "the ssd tier alone", "--tier ssd"),
        (
            {
                "named": True,
                "tiers": ("gpu:1MiB,ssd",),
                "row_cache_bytes": None,
                "budget_bytes": 1 << 27,
            },
            "row cache on a GPU",
            "--tier host:1GiB,ssd",
        ),
        (
            {"named": True, "tiers": ("gpu:1MiB,host:2MiB,ssd",), "row_cache_bytes": None},
            "row cache on a GPU",
            "--tier host:1GiB,ssd",
        ),
        ({"ranks": 2, "batch": 4, "cases": ("ranks",)}, "one process", "--ranks"),
        ({"fill": None, "fill_size_bytes": 1 << 20}, "--fill-size is of", "--fill records.log"),
        ({"fill": None, "write_budget_bytes": 9}, "--write-budget is of", "--fill records.log"),
        ({"fill_size_bytes": 0}, "--fill-size must be at least 1", ""),
        ({"write_budget_bytes": -1}, "--write-budget must be at least 1", ""),
    ],
)
def test_what_would_say_nothing_or_flatter_is_refused_with_what_to_write(
    words: dict[str, Any], text: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as error:
        BenchOptions(**FILLING | words)
    assert text in error.value.message
    assert hint in (error.value.hint or "")


def test_sizes_are_read_as_people_write_them() -> None:
    options = chosen_options(
        cache="traffic", row_cache="1MiB", fill="a.log", fill_size="2GiB", write_budget="2KiB"
    )
    assert (options.fill, options.fill_size_bytes, options.write_budget_bytes) == (
        "a.log", 2 << 30, 2048,
    )  # fmt: skip
    with pytest.raises(ConfigError, match="--write-budget 'much' is not a size"):
        chosen_options(cache="traffic", row_cache="1MiB", fill="a.log", write_budget="much")


def test_a_run_goes_on_only_with_the_dictionary_that_it_began_with() -> None:
    assert {"fill", "fill_size_bytes", "write_budget_bytes"} <= set(DECIDING)
