"""Which of several processes this one is, as `torchrun` says it; needs no torch."""

import os
from dataclasses import dataclass

from engramctl.errors import ConfigError

_NAMES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


@dataclass(frozen=True)
class Place:
    """A process among those of a run.

    Attributes:
        rank: its number, from 0.
        world: how many there are.
        local: its number among those of this machine; the GPU that is its own.
        local_world: how many run on this machine.
        meeting: where they meet: `env://`, or `file://` and a path.
    """

    rank: int
    world: int
    local: int
    local_world: int
    meeting: str


def launched_place() -> Place | None:
    """Return the place that a launcher gave this process; None: it was started alone.

    Raises:
        ConfigError: only a part of it is said, or it cannot be.
    """
    said = [name for name in _NAMES if name in os.environ]
    if "RANK" not in said or "WORLD_SIZE" not in said:
        return None
    if len(said) < len(_NAMES):
        raise ConfigError(
            "the environment names a rank, and not all that goes with it",
            facts={"expected": ", ".join(_NAMES), "found": ", ".join(said)},
            hint="start all ranks with torchrun, or let --ranks start them",
        )
    try:
        rank, world = int(os.environ["RANK"]), int(os.environ["WORLD_SIZE"])
        local = int(os.environ.get("LOCAL_RANK", rank))
        local_world = int(os.environ.get("LOCAL_WORLD_SIZE", world))
    except ValueError as error:
        raise ConfigError(f"a rank in the environment is no number: {error}") from error
    if not 0 <= rank < world:
        raise ConfigError(
            "the environment's RANK is none of its WORLD_SIZE",
            facts={"expected": f"0 to {world - 1}", "found": rank},
        )
    return Place(rank, world, local, local_world, "env://")


def asked_ranks(named: int | None) -> tuple[int | None, bool]:
    """Return on how many ranks a run is, and whether this process is one that another speaks for.

    Args:
        named: `--ranks`; None: those that were launched, else none.

    Raises:
        ConfigError: another number was launched.
    """
    place = launched_place()
    if place is None:
        return named, False
    if named not in (None, place.world):
        raise ConfigError(
            f"--ranks {named}, and {place.world} ranks were started",
            facts={"expected": place.world, "found": named},
            hint="leave --ranks to whatever starts them",
        )
    return place.world, place.rank > 0
