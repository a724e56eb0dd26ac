"""What is said of counts is what a plain sum over them says."""

import math
from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.access.spectrum import SMALL, Spectrum
from engramctl.access.statistics import poisson_slots
from engramctl.access.zipf import zipf

COUNTS = st.lists(st.one_of(st.integers(0, 5), st.integers(SMALL - 2, 2**40)), max_size=30)


def spectrum_of(*parts: list[int]) -> Spectrum:
    whole = Spectrum()
    for part in parts:
        one = Spectrum()
        one.add(np.array(part, np.uint64))
        whole.merge(one)
    return whole


@given(first=COUNTS, second=COUNTS, data=st.data())
@settings(max_examples=100, deadline=None)
def test_a_spectrum_knows_what_its_counts_know(
    first: list[int], second: list[int], data: st.DataObject
) -> None:
    spectrum = spectrum_of(first, second)
    counts = sorted((count for count in (*first, *second) if count), reverse=True)
    assert (spectrum.things, spectrum.accesses) == (len(counts), sum(counts))
    assert spectrum.histogram().times == Counter(counts)
    rows = data.draw(st.integers(0, 40))
    assert spectrum.top(rows) == sum(counts[:rows])
    num_rows = max(1, len(counts) + data.draw(st.integers(0, 5000)))
    points = spectrum.coverage(num_rows)
    assert [p["percent"] for p in points if p["percent"]] == [0.1, 1.0, 5.0, 10.0, 25.0, 50.0]
    assert [p["rows"] for p in points if not p["percent"]] == [1000] * (num_rows > 1000)
    for point in points:
        rows = int(point["rows"] or 0)
        expected = sum(counts[:rows]) / sum(counts) if counts else None
        assert point["share"] == expected
    entropy = spectrum.entropy()
    if not counts:
        assert entropy == {"bits": None, "normalised": None}
    else:
        total = sum(counts)
        bits = -math.fsum(count / total * math.log2(count / total) for count in counts)
        assert entropy["bits"] == pytest.approx(bits, abs=1e-9)
        if len(counts) > 1:
            assert entropy["normalised"] == pytest.approx(bits / math.log2(len(counts)), abs=1e-9)


@given(counts=st.lists(st.integers(1, 9), max_size=40), min_count=st.integers(1, 6))
@settings(deadline=None)
def test_what_pruning_hides_is_found_again_up_to_min_count_three(
    counts: list[int], min_count: int
) -> None:
    seldom = [count for count in counts if count < min_count]
    spectrum = spectrum_of([count for count in counts if count >= min_count])
    spectrum.hide(len(seldom), sum(seldom), min_count)
    assert (spectrum.things, spectrum.accesses) == (len(counts), sum(counts))
    if min_count <= 3:
        assert spectrum.histogram().times == Counter(counts)
    elif seldom:
        assert spectrum.entropy() == {"bits": None, "normalised": None}


@pytest.mark.parametrize("alpha", [1.7, 2.0, 2.6])
def test_likelihood_finds_the_exponent_that_made_the_counts(alpha: float) -> None:
    random = np.random.default_rng(7)
    counts = np.minimum(random.zipf(alpha, 200_000), 2**40).astype(np.uint64)
    spectrum = Spectrum()
    spectrum.add(counts)
    found = zipf(spectrum)["likelihood"]
    assert found["alpha"] == pytest.approx(alpha, abs=0.03)
    assert found["s"] == pytest.approx(1 / (found["alpha"] - 1))
    assert found["things"] == np.count_nonzero(counts >= found["x_min"])
    assert found["ks_distance"] < 0.01


def test_a_body_that_is_no_power_law_is_left_out_by_x_min() -> None:
    random = np.random.default_rng(7)
    tail = np.minimum(random.zipf(2.5, 2_000_000), 2**40)
    counts = np.concatenate([tail[tail >= 20], random.integers(1, 20, 30_000)]).astype(np.uint64)
    spectrum = Spectrum()
    spectrum.add(counts)
    found = zipf(spectrum)["likelihood"]
    assert found["x_min"] >= 18
    assert found["alpha"] == pytest.approx(2.5, abs=0.1)


@pytest.mark.parametrize("exponent", [0.7, 1.0, 1.3])
def test_least_squares_finds_the_slope_of_exact_ranks(exponent: float) -> None:
    ranks = np.arange(1, 20_001)
    spectrum = Spectrum()
    spectrum.add((1e9 / ranks**exponent).astype(np.uint64))
    found = zipf(spectrum)["least_squares"]
    assert found["s"] == pytest.approx(exponent, abs=0.001)
    assert found["ranks"] == [round(20_000**0.25), round(20_000**0.75)]
    assert found["x_min"] == int(1e9 / found["ranks"][1] ** exponent)


@pytest.mark.parametrize("counts", [[], [3], [1] * 1000, [2, 1]])
def test_too_little_gives_no_exponent(counts: list[int]) -> None:
    found = zipf(spectrum_of(counts))
    assert found["likelihood"] is None
    assert len(counts) == 1000 or found["least_squares"] is None


@pytest.mark.parametrize("load", [0.0, 0.3, 5.0, 40.0])
def test_poisson_slots_are_all_slots(load: float) -> None:
    slots = poisson_slots(1000, load)
    assert sum(slots) == pytest.approx(1000)
    assert sum(k * n for k, n in enumerate(slots)) <= 1000 * load + 1e-9
