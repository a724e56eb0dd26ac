"""Processors that this process may use: of its affinity, and no more than a cgroup's quota."""

import os

import pytest

from engramctl import processors


@pytest.mark.parametrize(
    ("affinity", "quota", "found"),
    [(8, None, 8), (8, 2.5, 3), (2, 7.0, 2), (4, 0.25, 1), (1, None, 1)],
)
def test_the_lesser_of_affinity_and_quota_counts(
    monkeypatch: pytest.MonkeyPatch, affinity: int, quota: float | None, found: int
) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: set(range(affinity)))
    monkeypatch.setattr(processors, "_own_quota", lambda: quota)
    assert processors.usable_processors() == found
