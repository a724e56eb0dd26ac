"""What a run remembers of itself in `state.json`, under a digest: a changed number is noticed."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import xxhash

from engramctl.storage.files.atomic import dump_json
from engramctl.storage.files.published import STATE
from engramctl.storage.writing.interrupted import damaged
from engramctl.storage.writing.partial_folder import PartialDirectory

_RUN, _DIGEST = "run", "run_xxh3_128"


def save_run(work: PartialDirectory, run: Mapping[str, Any]) -> None:
    """Replace what is remembered; all that it tells of is on the disk already."""
    work.save_state({_RUN: run, _DIGEST: _digest(run)})


def load_run(work: PartialDirectory) -> dict[str, Any] | None:
    """Return what `save_run` saved, or None where no checkpoint was reached.

    Raises:
        StorageError: it changed since.
    """
    state = work.state or {}
    if _RUN not in state:
        return None
    run: dict[str, Any] = state[_RUN]
    if _digest(run) != state.get(_DIGEST):
        raise damaged(work.path / STATE, "its bytes have changed")
    return run


@contextmanager
def remembered(work: PartialDirectory) -> Iterator[None]:
    """Turn what numbers of another shape than `save_run` saves raise into a StorageError."""
    try:
        yield
    except (LookupError, TypeError, ValueError, OverflowError, AssertionError) as error:
        raise damaged(work.path / STATE, "it does not tell of a run") from error


def _digest(run: Mapping[str, Any]) -> str:
    return xxhash.xxh3_128_hexdigest(dump_json(run))
