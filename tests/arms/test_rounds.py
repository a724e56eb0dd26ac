"""Arms take turns so that none always follows the same one, and begin on the same ground."""

from collections import Counter
from itertools import pairwise

import numpy as np
import pytest
import torch

from engramctl.arms.arm import Arm
from engramctl.arms.ground import Ground
from engramctl.arms.rounds import interleave, orders
from engramctl.arms.waits import Waits
from engramctl.arms.window import Window


def window(number: int) -> Window:
    return Window(np.zeros((1, 1), np.int64), np.full((1, 1), number))


class Recorder:
    def __init__(self, name: str, calls: list[tuple[str, int, bool]]) -> None:
        self.name, self.calls = name, calls

    def sample(self, window: Window, *, keep: bool) -> None:
        self.calls.append((self.name, int(window.token_ids_BT[0, 0]), keep))


@pytest.mark.parametrize("num_arms", range(1, 8))
def test_every_arm_follows_every_other_equally_often(num_arms: int) -> None:
    rows = orders(num_arms)
    assert all(sorted(row) == list(range(num_arms)) for row in rows)
    follows = Counter(pair for row in rows for pair in pairwise(row))
    assert len(follows) == num_arms * (num_arms - 1)
    assert len(set(follows.values())) <= 1
    firsts = Counter(row[0] for row in rows)
    assert len(firsts) == num_arms
    assert len(set(firsts.values())) == 1


def test_a_round_samples_each_arm_once_on_its_own_window_and_warm_up_is_not_kept() -> None:
    calls: list[tuple[str, int, bool]] = []
    arms = [Recorder(name, calls) for name in "ab"]
    windows = [[window(number) for number in numbers] for numbers in ((1, 2, 3), (11, 12, 13))]
    done: list[int] = []
    interleave(arms, windows, 1, done.append)
    assert calls == [
        ("a", 1, False), ("b", 11, False), ("b", 12, True), ("a", 2, True), ("a", 3, True),
        ("b", 13, True),
    ]  # fmt: skip
    assert done == [1, 1, 1]
    interleave([], [], 1, done.append)
    assert done == [1, 1, 1]


class Steps(Arm):
    """An arm that writes down what happens; shares its list with its ground."""

    def __init__(self, steps: list[str], subject: None = None) -> None:
        self.steps = steps
        super().__init__("none", subject, NotedGround(steps))

    def prepare(self, window: Window) -> None:
        self.steps.append("prepare")

    def run(self, waits: Waits) -> None:
        self.steps.append("run")
        for layer in (3, 8):
            waits.rows(layer, lambda: torch.zeros(1))

    def settle(self) -> None:
        self.steps.append("settle")


class NotedGround(Ground):
    def __init__(self, steps: list[str]) -> None:
        super().__init__(torch.device("cpu"))
        self.steps = steps

    def level(self) -> None:
        self.steps.append("level")


def test_the_ground_is_levelled_after_getting_ready_and_before_the_clock_starts() -> None:
    steps: list[str] = []
    arm = Steps(steps)
    arm.sample(window(0), keep=False)
    arm.sample(window(0), keep=True)
    assert steps == ["prepare", "level", "run", "settle"] * 2
    assert len(arm.samples_ns) == 1
    assert len(arm.stalls_ns()) == 1
    assert set(arm.waits_ns) == set(arm.arrivals_ns) == {3, 8}
