"""A rank that ends ends the others, and it is said why; nothing hangs."""

import os
import signal
import time
from functools import partial
from typing import Any

import pytest
import torch

from engramctl.errors import ConfigError
from engramctl.ranks.peers import AllRefuse, LostPeers, met
from engramctl.ranks.place import Place
from engramctl.ranks.started import Report, run_all


def work(how: str, place: Place, report: Report) -> Any:
    """What ranks do here: rank 1 ends in some way while rank 0 waits for it."""
    if how == "report":
        report("tell", place.rank)
        return place
    with met(place, torch.device("cpu")) as peers:
        if how == "refuse":
            error = ConfigError("rank 1 lacks it", facts={"found": 3}) if place.rank else None
            try:
                peers.refuse_together(error)
            except AllRefuse as refused:
                return peers.each((refused.error.message, refused.error.facts))
        peers.wait_for_all()
        if place.rank == 1 and how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if place.rank == 1 and how == "error":
            raise ConfigError("rank 1 cannot go on", hint="run: something else")
        peers.wait_for_all()
    return None


def late_cause(place: Place, report: Report) -> None:
    if place.rank == 0:
        raise LostPeers("rank 0 of 2 lost another one")
    time.sleep(1)
    raise ConfigError("after the other was told")


def test_a_rank_that_is_killed_ends_all_with_a_message() -> None:
    begun = time.monotonic()
    with pytest.raises(LostPeers, match="rank 1 ended without a word") as told:
        run_all(2, partial(work, "killed"), {})
    assert told.value.facts == {"ended by": "signal SIGKILL"}
    assert time.monotonic() - begun < 200  # far below what a rank waits for another


def test_the_error_of_a_rank_is_the_run_s_own() -> None:
    with pytest.raises(ConfigError, match="rank 1 cannot go on") as told:
        run_all(2, partial(work, "error"), {})
    assert told.value.hint == "run: something else"


def test_the_cause_is_told_and_not_that_a_rank_was_lost() -> None:
    """The rank that is left says first that it lost another; why that one ended comes later."""
    with pytest.raises(ConfigError, match="after the other was told"):
        run_all(2, late_cause, {})


def test_what_one_rank_lacks_is_refused_by_all() -> None:
    said = run_all(2, partial(work, "refuse"), {})
    assert said == [("rank 1 lacks it", {"found": 3})] * 2


def test_the_first_rank_reports_and_gives_the_result() -> None:
    heard: list[int] = []
    place = run_all(2, partial(work, "report"), {"tell": heard.append})
    assert heard == [0]
    assert (place.rank, place.world) == (0, 2)
