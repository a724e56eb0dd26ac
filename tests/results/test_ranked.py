"""What ranks told is put together: the slowest in each step, the longest wait, bytes a token."""

from typing import Any

from engramctl.results.ranked import ranked_figures, slowest
from engramctl.shown.rank_columns import rank_columns

SCHEDULES = {"plain": 1, "two micro-batches": 2}


def told(samples: list[int], waits: list[int], off: float) -> dict[str, Any]:
    one = {
        "samples_ns": samples,
        "rows_wait_ns": waits,
        "streams_wait_ns": [7, 7, 7],
        "sent_bytes": [{"rows": 80, "streams": 160}] * 3,
        "logits_off": off,
    }
    return {"schedules": dict.fromkeys(SCHEDULES, one), "alone": [1, 2, 3]}


RANKS = [told([10, 20, 30], [1, 2, 3], 0.0), told([40, 5, 5], [4, 5, 6], 0.5)]


def test_a_step_is_done_when_the_slowest_rank_is() -> None:
    assert slowest([[10, 20, 30], [40, 5, 5]]) == [40, 20, 30]
    for schedule in ranked_figures(RANKS, SCHEDULES, 8)["schedules"]:
        assert schedule["p50_ns"] == 30


def test_the_exposed_time_is_of_the_rank_that_waits_longest() -> None:
    for schedule in ranked_figures(RANKS, SCHEDULES, 8)["schedules"]:
        assert (schedule["exposed_rows_ns"], schedule["exposed_streams_ns"]) == (5, 7)


def test_bytes_are_of_a_rank_s_own_tokens_and_the_worst_logits_count() -> None:
    found = ranked_figures(RANKS, SCHEDULES, 8)  # of 8 tokens 4 are a rank's own
    assert found["bytes_per_token"] == {"rows": 20, "streams": 40}
    assert found["logits_off"] == 0.5
    assert rank_columns(None) == {}
