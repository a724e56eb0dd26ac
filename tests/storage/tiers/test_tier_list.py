"""Tiers named one by one or as mixtures."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engramctl.errors import ConfigError
from engramctl.storage.tiers.tier_list import TIERS, TierList, read_tiers


@pytest.mark.parametrize("tier", TIERS)
def test_a_tier_alone_holds_every_row(tier: str) -> None:
    assert read_tiers(tier) == TierList(tier)
    assert read_tiers(tier).name == tier
    assert [one for one in TIERS if read_tiers(tier).uses(one)] == [tier]


@given(
    names=st.lists(st.sampled_from(TIERS), min_size=1, max_size=3, unique=True),
    sizes=st.lists(st.integers(1, 1 << 45), min_size=2, max_size=2),
)
def test_a_list_is_read_as_it_is_written(names: list[str], sizes: list[int]) -> None:
    *faster, whole = sorted(names, key=TIERS.index)
    tiers = TierList(whole, tuple(zip(faster, sizes, strict=False)))
    assert read_tiers(tiers.name) == tiers
    for tier, size in tiers.caches:
        assert tiers.cache_bytes(tier) == size
        assert tiers.uses(tier)


@pytest.mark.parametrize(
    ("text", "says", "hint"),
    [
        ("sdd", "unknown tier 'sdd'", "ssd"),
        ("", "unknown tier ''", "gpu"),
        ("host:1GiB,", "unknown tier ''", "gpu"),
        ("ssd:1GiB,host", "the fastest first", "host:SIZE,ssd"),
        ("host:1GiB,host:2GiB,ssd", "each tier once", "host:SIZE,ssd"),
        ("host:16GiB", "the last tier holds every row", "write host"),
        ("gpu:1GiB,ssd:1GiB", "the last tier holds every row", "write ssd"),
        ("host,ssd", "has no size", "--tier host --tier ssd"),
        ("host:,ssd", "'' is not a size", "64MiB"),
        ("host:0,ssd", "'0' is not a size", "64MiB"),
        ("host:many,ssd", "'many' is not a size", "64MiB"),
    ],
)
def test_what_is_no_list_of_tiers_says_what_to_write(text: str, says: str, hint: str) -> None:
    with pytest.raises(ConfigError) as found:
        read_tiers(text)
    assert says in found.value.render()
    assert hint in found.value.render()
