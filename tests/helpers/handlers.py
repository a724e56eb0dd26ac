"""A signal's handler that has its turn at an exact step of some code."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def handler_after(
    steps: int, handler: Callable[[], None], files: tuple[str, ...]
) -> Iterator[None]:
    """Call a handler where one may have its turn: calls begin, calls of C are over.

    Args:
        steps: of this thread, before it is called, once.
        handler: may raise.
        files: ends of the paths of those whose steps count.
    """

    def step(frame: FrameType, event: str, _: object) -> None:
        nonlocal steps
        if event in ("call", "c_return") and frame.f_code.co_filename.endswith(files):
            steps -= 1
            if steps == -1:
                sys.setprofile(before)
                handler()

    before = sys.getprofile()
    sys.setprofile(step)
    try:
        yield
    finally:
        sys.setprofile(before)


def interrupt() -> None:
    """What Ctrl-C does."""
    raise KeyboardInterrupt
