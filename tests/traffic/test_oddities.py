"""What makes a trace easier than text is told and kept with the case."""

import numpy as np
import pytest

from engramctl.arms.window import Window
from engramctl.traffic.oddities import odd_tokens, traffic_of
from engramctl.traffic.trace import Trace


def windows(ids: list[int], tokens: int, count: int) -> list[Window]:
    return Trace("text", 1000, 0, np.array(ids)).windows(count, 1, tokens, 2)


def test_padding_is_told() -> None:
    told, _ = odd_tokens(windows([7] * 900 + list(range(900)), 50, 8), "corpus")
    assert "one token id is 100 % of those read from corpus: padding" in told


def test_prompts_that_come_again_are_told() -> None:
    repeated = windows(list(range(104)), 50, 8)
    assert traffic_of(repeated)["repeated_percent"] == pytest.approx(75.0)
    [told] = odd_tokens(repeated, "corpus")
    assert "75 % of the prompts from corpus were read before" in told


@pytest.mark.parametrize("tokens", [1, 50])
def test_text_is_not_odd(tokens: int) -> None:
    text = np.random.default_rng(0).zipf(1.1, 5000) % 1000
    assert odd_tokens(windows(text.tolist(), tokens, 20), "corpus") == []


def test_generated_ids_are_as_they_are() -> None:
    assert odd_tokens(windows([7] * 900, 50, 8), "zipf") == []
