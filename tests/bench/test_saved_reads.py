"""What a case says of earlier text, whatever the store below keeps."""

from types import SimpleNamespace
from typing import Any

import pytest

from engramctl.bench.saved_reads import give_saved


@pytest.mark.parametrize(
    ("cache", "mode", "before"),
    [("traffic", "mapped", 640), ("traffic", "memory", 640), ("warm", "mapped", None)],
)
def test_tokens_before_are_told_of_every_store_after_traffic(
    cache: str, mode: str, before: int | None
) -> None:
    """A row cache on a device is over mapped rows too, and its hits depend on them."""
    case: Any = SimpleNamespace(cache=cache, mode=mode, tokens=1, tokens_before=None, saved=None)
    arm: Any = SimpleNamespace(subject=object(), rows_before=640 * 48, rows=48)
    give_saved(case, arm)
    assert (case.tokens_before, case.saved) == (before, None)
