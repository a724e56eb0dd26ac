"""What the ssd tier's memory may be, and in which states it is measured."""

from typing import Any

import pytest

from engramctl.errors import ConfigError
from engramctl.sweep.chosen import chosen_options
from engramctl.sweep.loops import plan_loops
from engramctl.sweep.options import BenchOptions

TRAFFIC: dict[str, Any] = {"cache": "traffic", "row_cache_bytes": 1 << 20}


@pytest.mark.parametrize(
    ("words", "text", "hint"),
    [
        ({"warm": "counts"}, "--cache both forgets it", "--cache traffic"),
        ({"after": 5, "cache": "cold"}, "--cache cold forgets it", "--cache traffic"),
        ({"cache": "traffic"}, "memory of its own", "--row-cache 1GiB"),
        ({"budget_bytes": 8, "row_cache_bytes": 8}, "a part of --budget", "leave out --budget"),
        ({**TRAFFIC, "after": -1}, "--after must be", ""),
        ({**TRAFFIC, "after": 1 << 25}, "--after must be", ""),
        ({**TRAFFIC, "ranks": 2, "batch": 4, "cases": ("ranks",)}, "one process", "--ranks"),
    ],
)
def test_what_cannot_be_is_refused_with_what_to_write(
    words: dict[str, Any], text: str, hint: str
) -> None:
    with pytest.raises(ConfigError) as error:
        BenchOptions(**words)
    assert text in error.value.message
    assert hint in (error.value.hint or "")


def test_traffic_is_a_state_of_the_ssd_tier_alone_and_not_in_both() -> None:
    traffic = BenchOptions(**TRAFFIC)
    assert traffic.caches("ssd") == ("traffic",)
    assert traffic.caches("host") == traffic.caches("gpu") == ()
    assert {loop.cache for loop in plan_loops(traffic)} == {"traffic"}
    assert {loop.tiers for loop in plan_loops(traffic)} == {("ssd",)}
    assert BenchOptions(cache="both").caches("ssd") == ("warm", "cold")
    both = BenchOptions(**TRAFFIC | {"budget_bytes": 8 << 20, "row_cache_bytes": None})
    assert both.caches("ssd") == ("traffic",)


def test_the_row_cache_is_told_to_the_ssd_tier_alone() -> None:
    options = chosen_options(row_cache="2MiB", budget="80MiB", engine="pread")
    assert options.reading("ssd") == {
        "budget_bytes": 80 << 20, "engine": "pread", "cache_bytes": 2 << 20
    }  # fmt: skip
    assert options.reading("host") == options.reading("gpu") == {}
    assert chosen_options().row_cache_bytes is None
    with pytest.raises(ConfigError, match="--row-cache 'much' is not a size"):
        chosen_options(row_cache="much")
