"""The best tail is the one that trying each of them slowly finds."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from engramctl.access.power_tail import best_tail, hurwitz_zeta
from engramctl.access.spectrum import Spectrum
from engramctl.access.zipf import zipf


def spectrum_of(counts: NDArray[np.int64]) -> Spectrum:
    spectrum = Spectrum()
    spectrum.add(counts.astype(np.uint64))
    return spectrum


def distance_of(counts: NDArray[np.int64], x_min: int) -> float:
    """The Kolmogorov-Smirnov distance of a tail, its alpha from a fine grid."""
    tail = np.sort(counts[counts >= x_min])
    mean_log = float(np.log(tail).mean())

    def loss(alpha: float) -> float:
        return alpha * mean_log + math.log(hurwitz_zeta(alpha, float(x_min)))

    low, high = 1.01, 8.0
    for _ in range(12):
        grid = np.linspace(low, high, 21)
        best = int(np.argmin([loss(float(one)) for one in grid]))
        low, high = float(grid[max(0, best - 1)]), float(grid[min(20, best + 1)])
    alpha = (low + high) / 2
    whole = hurwitz_zeta(alpha, float(x_min))
    return max(
        abs(hurwitz_zeta(alpha, float(value)) / whole - float((tail >= value).mean()))
        for found in np.unique(tail).tolist()
        for value in (found, found + 1)
    )


def usable(counts: NDArray[np.int64]) -> list[int]:
    """Every x_min whose tail has 50 things and 4 different counts."""
    tails = [counts[counts >= value] for value in np.unique(counts)]
    return [int(t.min()) for t in tails if len(t) >= 50 and len(np.unique(t)) >= 4]


@given(st.integers(0, 2**32), st.sampled_from([1.5, 1.9, 2.4, 3.0]), st.integers(60, 800))
@settings(deadline=None, max_examples=20)
def test_every_x_min_is_tried_and_the_nearest_law_wins(seed: int, alpha: float, n: int) -> None:
    random = np.random.default_rng(seed)
    counts = np.minimum(random.zipf(alpha, n), 300) + random.integers(0, 3, n)
    found = zipf(spectrum_of(counts))["likelihood"]
    tried = {x_min: distance_of(counts, x_min) for x_min in usable(counts)}
    if not tried:
        assert found is None
        return
    assert found["x_min"] in tried
    assert found["ks_distance"] == pytest.approx(tried[found["x_min"]], abs=1e-5)
    assert found["ks_distance"] == pytest.approx(min(tried.values()), abs=1e-5)


@pytest.mark.parametrize("seed", range(5))
def test_the_distance_of_a_long_tail_is_its_largest_gap(seed: int) -> None:
    counts = np.minimum(np.random.default_rng(seed).zipf(1.4, 6_000), 1 << 20)
    found = zipf(spectrum_of(counts))["likelihood"]
    exact = distance_of(counts, found["x_min"])
    assert found["ks_distance"] == pytest.approx(exact, abs=1e-6)


def test_of_very_many_counts_so_many_are_tried_from_first_to_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    seen: list[NDArray[np.int64]] = []

    def spied(
        values: NDArray[np.int64], tails: NDArray[np.int64], logs: NDArray[np.float64],
        starts: NDArray[np.int64],
    ) -> tuple[int, float, float]:  # fmt: skip
        seen.append(starts)
        found: tuple[int, float, float] = best_tail(values, tails, logs, starts)
        return found

    monkeypatch.setattr("engramctl.access.zipf.best_tail", spied)
    counts = np.arange(1, 1001)
    zipf(spectrum_of(counts))
    monkeypatch.setattr("engramctl.access.zipf.MOST_TRIED", 50)
    zipf(spectrum_of(counts))
    every, few = seen
    assert every.tolist() == list(range(951))
    assert 20 < len(few) <= 50
    assert (few[0], few[-1]) == (0, 950)


@pytest.mark.parametrize("s", [1.05, 1.5, 2.0, 3.7, 7.5])
def test_the_zeta_function_is_its_sum(s: float) -> None:
    terms = 200_000
    for q in (1, 2, 8, 9, 17, 1000):
        summed = math.fsum((q + np.arange(terms)) ** -s)
        end = q + terms
        rest = end ** (1 - s) / (s - 1) + end**-s / 2 + s * end ** (-s - 1) / 12
        assert hurwitz_zeta(s, float(q)) == pytest.approx(summed + rest, rel=1e-10)
