"""The command line that runs, word by word, for what has to say how it was made."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

_typed: ContextVar[tuple[str, ...] | None] = ContextVar("typed", default=None)


@contextmanager
def typed(words: Sequence[str]) -> Iterator[None]:
    """Let these be the words of all that runs inside; those of a command inside a command win.

    Args:
        words: as typed, the program's name first.
    """
    before = _typed.set(tuple(words))
    try:
        yield
    finally:
        _typed.reset(before)


def typed_words() -> list[str] | None:
    """Return the words as typed, "engramctl" first; None where no command runs, as from Python.

    Example:
        >>> with typed(["engramctl", "env"]):
        ...     typed_words()
        ['engramctl', 'env']
    """
    words = _typed.get()
    return None if words is None else list(words)
