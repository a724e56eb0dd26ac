"""Thread counts are fixed for a run, set before every sample, and set back."""

import numpy as np
import pytest
import torch

from engramctl.arms.ground import Ground
from engramctl.arms.threads import Threads, fixed_threads, threads_now
from engramctl.processors import usable_processors
from engramctl.runtime.threads import Workers
from engramctl.storage.io.gather_threads import chosen_gather_threads


@pytest.mark.parametrize(("model", "store"), [(1, 1), (3, None), (None, 2), (None, None)])
def test_both_counts_are_fixed_and_set_back(model: int | None, store: int | None) -> None:
    before = threads_now()
    threads = model or before.model
    followed = min(threads, usable_processors())
    with fixed_threads(model, store) as fixed:
        assert fixed == threads_now() == Threads(threads, store or followed)
        torch.set_num_threads(before.model + 5)
        assert threads_now().store == fixed.store
    assert threads_now() == before
    assert chosen_gather_threads() is None


def test_the_ground_sets_what_a_sample_changed() -> None:
    with fixed_threads(1, 2) as fixed:
        ground = Ground(torch.device("cpu"), fixed)
        Threads(2, 3).set()
        ground.level()
        assert threads_now() == fixed


def test_workers_go_on_with_another_count() -> None:
    workers = Workers("resized", 2)
    assert workers.each(3, np.square) == [0, 1, 4]
    workers.resize(1)
    assert workers.count == 1
    assert workers.each(3, np.square) == [0, 1, 4]
    workers.shutdown()
