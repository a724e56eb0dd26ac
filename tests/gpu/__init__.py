"""One script for the day a GPU is there: `python -m tests.gpu`, or `make gpu`.

A section is a module here whose `run()` returns what it found as JSON; each runs in a process of
its own, so that a crash of one, or one that hangs, loses none of the others.
"""

from dataclasses import dataclass
from typing import Any

SCHEMA = "engramctl.gpu/1"
BUDGET_S = 360  # of a whole run; the sections' limits together stay below it


@dataclass(frozen=True)
class Section:
    """One part of a run.

    Attributes:
        name: of the section.
        limit_s: how long it may take; then it is ended and counts as failed.
        needs_gpu: whether it is skipped where there is no CUDA device.
        room: the package of its module, which has its name.
    """

    name: str
    limit_s: int
    needs_gpu: bool = True
    room: str = "tests.gpu"

    @property
    def module(self) -> str:
        """The module whose `run` it is."""
        return f"{self.room}.{self.name}".lstrip(".")


# Tests first: they also compile, once for all, most of what the measurements run on the CPU.
SECTIONS = (
    Section("environment", 20, needs_gpu=False),
    Section("marked_tests", 85),
    Section("hashing_cuda", 30),
    Section("gathers", 36),
    Section("host_gathers", 30),
    Section("captured", 16),
    Section("bench", 40),
    Section("mhc", 25),
    Section("steps", 42),
    Section("offload", 35),
)


class Skipped(Exception):
    """A section cannot run here; the text says why."""


class Failed(Exception):
    """A section found something wrong."""

    def __init__(self, reason: str, result: Any = None) -> None:
        """`result` is kept beside the reason."""
        super().__init__(reason)
        self.result = result
