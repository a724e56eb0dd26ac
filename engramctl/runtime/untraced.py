"""Calls that `torch.compile` leaves as they are: a graph ends before one and another begins after.

What reads files, keeps locks and calls native code has nothing to compile; traced, it is run by
halves. `torch.compiler.disable` says so, but takes a second to import what most programs never
use: here it is asked for when that is there already, as it is wherever anything is compiled.
"""

import functools
import sys
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar, cast

Params = ParamSpec("Params")
Answer = TypeVar("Answer")
_TRACER = "torch._dynamo"


def untraced(function: Callable[Params, Answer]) -> Callable[Params, Answer]:
    """Return a function that compiled code calls, and does not look into."""
    disabled: list[Callable[Params, Answer]] = []

    @functools.wraps(function)
    def call(*args: Params.args, **kwargs: Params.kwargs) -> Answer:
        if _TRACER not in sys.modules:
            return function(*args, **kwargs)
        if not disabled:
            import torch

            disable = cast(Callable[[Any], Any], torch.compiler.disable)
            disabled.append(disable(function))
        return disabled[0](*args, **kwargs)

    call._torchdynamo_disable = True  # type: ignore[attr-defined]
    return call
