"""Arms measured in turn, so that what happens to the machine happens to all of them alike."""

from collections.abc import Callable, Sequence
from typing import Protocol

from engramctl.arms.window import Window


class Sampled(Protocol):
    """What a round measures: an arm."""

    def sample(self, window: Window, *, keep: bool) -> None:
        """Take one sample; `keep` is False while warming up."""
        ...


def orders(num_arms: int) -> list[list[int]]:
    """Return orders in which every arm follows every other equally often (Williams 1949).

    Example:
        >>> orders(3)
        [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1], [2, 0, 1], [1, 0, 2]]
        >>> orders(4)
        [[0, 1, 3, 2], [1, 2, 0, 3], [2, 3, 1, 0], [3, 0, 2, 1]]
    """
    first = [(step + 1) // 2 if step % 2 else -step // 2 for step in range(num_arms)]
    rows = []
    for shift in range(num_arms):
        row = [(arm + shift) % num_arms for arm in first]
        rows += [row, row[::-1]] if num_arms % 2 else [row]
    return rows


def interleave(
    arms: Sequence[Sampled],
    windows: Sequence[Sequence[Window]],
    warm_up: int,
    progress: Callable[[int], None],
) -> None:
    """Sample every arm once a round, each on a window of its own list.

    Args:
        arms: what to measure.
        windows: a list of windows for each arm, all of one length, the number of rounds.
        warm_up: rounds whose samples are not kept.
        progress: told of each round, and of all that are left when the work ends early.
    """
    turns = orders(len(arms))
    left = len(windows[0]) if arms else 0
    try:
        for index in range(left):
            for arm in turns[index % len(turns)]:
                arms[arm].sample(windows[arm][index], keep=index >= warm_up)
            progress(1)
            left -= 1
    finally:
        if left:
            progress(left)
