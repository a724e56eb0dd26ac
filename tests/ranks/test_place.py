"""Which rank a process is, as a launcher says it."""

import pytest

from engramctl.errors import ConfigError
from engramctl.ranks.place import asked_ranks, launched_place

SAID = {
    "RANK": "1", "WORLD_SIZE": "2", "LOCAL_RANK": "1", "LOCAL_WORLD_SIZE": "2",
    "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29500",
}  # fmt: skip


def say(monkeypatch: pytest.MonkeyPatch, **words: str) -> None:
    for name in SAID:
        monkeypatch.delenv(name, raising=False)
    for name, value in words.items():
        monkeypatch.setenv(name, value)


def test_a_process_started_alone_has_the_ranks_it_asks_for(monkeypatch: pytest.MonkeyPatch) -> None:
    say(monkeypatch, WORLD_SIZE="4")  # a cluster's own word, without a rank
    assert launched_place() is None
    assert asked_ranks(3) == (3, False)
    assert asked_ranks(None) == (None, False)


def test_a_launched_process_is_one_of_those_that_were_launched(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    say(monkeypatch, **SAID)
    place = launched_place()
    assert place is not None
    assert (place.rank, place.world, place.local, place.meeting) == (1, 2, 1, "env://")
    assert asked_ranks(None) == (2, True)
    with pytest.raises(ConfigError, match="--ranks 3, and 2 ranks were started"):
        asked_ranks(3)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ({"RANK": "0", "WORLD_SIZE": "2"}, "not all that goes with it"),
        (SAID | {"RANK": "2"}, "none of its WORLD_SIZE"),
        (SAID | {"RANK": "one"}, "no number"),
    ],
)
def test_half_a_place_is_refused(
    monkeypatch: pytest.MonkeyPatch, words: dict[str, str], message: str
) -> None:
    say(monkeypatch, **words)
    with pytest.raises(ConfigError, match=message):
        launched_place()
