"""Exposed and hidden time: of samples alone."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engramctl.results.overlap import exposed_ns, hidden_share, layer_times

SAMPLES = st.lists(st.integers(1, 10**9), min_size=1, max_size=20)


@pytest.mark.parametrize(
    ("compute", "fetch", "both", "hidden"),
    [
        (100, 20, 120, 0.0),  # one after the other
        (100, 20, 100, 100.0),  # all of the fetch under the compute
        (20, 100, 100, 100.0),  # all of the compute under the fetch
        (100, 20, 110, 50.0),
        (100, 20, 90, 100.0),  # noise is no more than all,
        (100, 20, 140, 0.0),  # and no less than nothing
    ],
)
def test_the_hidden_share_is_of_the_shorter_of_compute_and_fetch(
    compute: int, fetch: int, both: int, hidden: float
) -> None:
    found = hidden_share([compute] * 3, [fetch] * 3, [both] * 3, 2.0)
    assert found["percent"] == pytest.approx(hidden)
    assert found["resolution_percent"] == pytest.approx(2.0 * compute / min(compute, fetch))


@given(SAMPLES, SAMPLES, SAMPLES)
def test_a_share_is_a_share(compute: list[int], fetch: list[int], both: list[int]) -> None:
    percent = hidden_share(compute, fetch, both, None)["percent"]
    assert percent is not None
    assert 0 <= percent <= 100


def test_without_an_arm_nothing_is_known() -> None:
    for missing in range(3):
        compute, fetch, both = ([] if arm == missing else [1] for arm in range(3))
        found = hidden_share(compute, fetch, both, 1.0)
        assert found == {"percent": None, "resolution_percent": None}
    assert exposed_ns([], [1]) is exposed_ns([1], []) is None


@given(SAMPLES, st.integers(0, 10**9))
def test_a_wait_is_exposed_by_what_is_over_that_of_rows_on_the_device(
    resident: list[int], more: int
) -> None:
    assert exposed_ns([one + more for one in resident], resident) == more
    assert exposed_ns(resident, [one + more for one in resident]) == 0


def test_each_layer_has_its_own_waits_and_a_resolution_from_the_copies() -> None:
    waits = {1: [30] * 5, 14: [7] * 5}
    found = layer_times(
        {1: 0, 14: None}, waits, {1: [10] * 5, 14: [7] * 5}, [waits, {1: [34] * 5, 14: [7] * 5}],
        {1: [100], 14: [200]},
    )  # fmt: skip
    assert [one["exposed_ns"] for one in found] == [20, 0]
    assert [one["resolution_ns"] for one in found] == [4, 0]
    assert [one["at"] for one in found] == [0, None]
    assert [one["arrival_samples_ns"] for one in found] == [[100], [200]]
    [first, _] = layer_times({1: 0, 14: 1}, waits, {}, [{}, {}], {})
    assert first["exposed_ns"] is first["resolution_ns"] is None


def test_copies_of_an_interrupted_loop_are_paired_as_far_as_they_go() -> None:
    copies = [{1: [10] * 6}, {1: [14] * 5}]
    [one] = layer_times({1: 0}, {}, {}, copies, {})
    assert one["resolution_ns"] == 4
