"""The options that are swept by repeating them: one line each, and a case's place among them.

An axis is an option that takes one value in a case and several in a run. Which cases an option
changes is said here, so that a gather is not measured again for every model.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

CASES = ("gather", "lookup", "step")
RANKS = "ranks"  # the one case of a run on several ranks
PHASES = ("decode", "prefill")
SEQUENCES = "sequences"  # whole sequences of mixed lengths: a phase of steps, when it is named


@dataclass(frozen=True)
class Axis:
    """An option that may be repeated.

    Attributes:
        name: its field of `BenchOptions`; the option is the same with dashes.
        mark: stands before its value in the ID of a case.
        cases: that it changes, of CASES, or RANKS.
        phases: that it changes, of PHASES and SEQUENCES.
        of_model: whether another value is another model, to be drawn anew.
        always: whether an ID says its default value too.
    """

    name: str
    mark: str
    cases: tuple[str, ...] = (*CASES, RANKS)
    phases: tuple[str, ...] = (*PHASES, SEQUENCES)
    of_model: bool = False
    always: bool = False

    @property
    def option(self) -> str:
        """The option as it is typed."""
        return f"--{self.name.replace('_', '-')}"

    def changes(self, case: str, phase: str) -> bool:
        """Tell whether a case measures something else for another value."""
        return case in self.cases and phase in self.phases

    def part(self, value: object) -> str:
        """Return what an ID says of a value, safe in a shell.

        Example:
            >>> Axis("batch", "b").part(8), Axis("set", "set-").part(("ffn=4", "heads=2"))
            ('b8', 'set-ffn-4-heads-2')
        """
        words = "-".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
        return self.mark + re.sub(r"[^A-Za-z0-9_-]+", "-", words)


_WITH_MODEL = ("lookup", "step", RANKS)
# A swept option is a line here, a field of BenchOptions, a list among the command's options.
AXES = (
    Axis("batch", "b", always=True),
    Axis("context", "c", cases=("step", RANKS), phases=("decode",), always=True),
    Axis("tokens", "t", phases=("prefill",), always=True),
    Axis("preset", "preset-", cases=_WITH_MODEL, of_model=True),
    Axis("layers", "l", cases=_WITH_MODEL, of_model=True),
    Axis("mhc", "", cases=_WITH_MODEL, of_model=True),
    Axis("fusion", "fusion-", cases=_WITH_MODEL, of_model=True),
    Axis("memory_layers", "memory-", cases=_WITH_MODEL, of_model=True),
    Axis("residual", "residual-", cases=_WITH_MODEL, of_model=True),
)
NAMES = tuple(axis.name for axis in AXES)


def axes_of(case: str, phase: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the value of every axis, of the values of all; None of one that changes nothing."""
    return {axis.name: values[axis.name] if axis.changes(case, phase) else None for axis in AXES}


def case_id(
    case: str, phase: str, tier: str, loop: str, axes: Mapping[str, Any], usual: Mapping[str, Any]
) -> str:
    """Return the ID of a case: the same in every run that measures the same.

    Args:
        case: of CASES.
        phase: of PHASES, or SEQUENCES.
        tier: its own.
        loop: `warm`, `cold` or `traffic`.
        axes: its value of every axis, None where it has none.
        usual: the default of every axis, which is left out where `always` is False.

    Example:
        >>> case_id("step", "decode", "ssd", "cold", {"batch": 8, "preset": "1b"}, {"preset": "4b"})
        'step.decode.ssd.cold.b8.preset-1b'
    """
    parts = [
        axis.part(axes[axis.name])
        for axis in AXES
        if axes.get(axis.name) is not None
        and (axis.always or axes[axis.name] != usual.get(axis.name))
    ]
    return ".".join((case, phase, tier, loop, *parts))
