"""Runs that die behind a checkpoint."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from engramctl.mining import local


class Killed(BaseException):
    """Ends a run as a signal would: nothing is tidied up."""


@contextmanager
def killed_at_checkpoint(number: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let a run die right behind its n-th checkpoint."""
    seen = 0
    checkpoint = local.Run.save_checkpoint

    def counted(run: Any, position: Any) -> None:
        nonlocal seen
        checkpoint(run, position)
        seen += 1
        if seen == number:
            raise Killed

    monkeypatch.setattr(local.Run, "save_checkpoint", counted)
    monkeypatch.setattr(local, "CHECKPOINT_SECONDS", 0.0)
    monkeypatch.setattr("engramctl.corpus.corpus.BATCH_TOKENS", 1 << 11)
    with pytest.raises(Killed):
        yield
    monkeypatch.setattr(local.Run, "save_checkpoint", checkpoint)
