"""Is every entry of a self-filled dictionary whole?"""

from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import CheckFailed, FormatError
from engramctl.storage.record_log.read_log import ReadLog, opened_log
from engramctl.storage.verifying.integrity import VerifyReport


def verify_log(path: Path, progress: Callable[[int], None] = lambda amount: None) -> VerifyReport:
    """Check the header of every segment and the checksum of every entry of an n-gram log.

    What follows the last whole entry of a segment that is still filled was never finished, and is
    no damage. A store that fills the file at the same time is not waited for.

    Args:
        path: of the file.
        progress: told of its bytes as they are checked.

    Returns:
        One file, an extent an entry, the bytes of whole entries.

    Raises:
        CheckFailed: a header or an entry is damaged: where the first is, how many entries are
            whole, and how many torn.
        StorageError: the file cannot be read.
    """
    whole = torn = lost = 0
    first: int | None = None
    try:
        with opened_log(path) as log:
            progress(min(log.file_bytes, log.log_format.segment_offset(0)))
            for segment in range(log.num_segments):
                begin = log.log_format.segment_offset(segment)
                sequence, damaged = log.header(segment)
                good = _entries(log, segment, sequence)
                bad = np.flatnonzero(~good)
                whole, torn, lost = whole + int(good.sum()), torn + len(bad), lost + damaged
                if first is None and damaged:
                    first = begin
                elif first is None and len(bad):
                    first = log.first_entry(segment) + int(bad[0]) * log.log_format.entry_bytes
                progress(min(log.log_format.segment_bytes, log.file_bytes - begin))
            num_bytes = whole * log.log_format.entry_bytes
    except FormatError as error:
        raise CheckFailed(error.message, facts=error.facts, hint=_HINT) from error
    if first is not None:
        segments = {"segments lost": lost} if lost else {}
        raise CheckFailed(
            f"n-gram log {path.name} is damaged at offset {first:,}",
            facts={
                "file": path, "offset": f"{first:,}",
                "whole": f"{whole:,} entries", "torn": f"{torn:,} entries", **segments,
            },
            hint=_HINT,
        )  # fmt: skip
    return VerifyReport(path, 1, whole, num_bytes)


_HINT = "no store serves what is torn; delete the file to begin anew: no row is lost with it"


def _entries(log: ReadLog, segment: int, sequence: int) -> NDArray[np.bool_]:
    """Say of the entries that a segment was given whether they are whole, bool (n,)."""
    if not sequence:
        return np.zeros(0, np.bool_)
    good = np.fromiter(log.whole_entries(segment, sequence), np.bool_)
    if log.is_sealed(segment, sequence):
        return good
    return good[: int(np.flatnonzero(good)[-1]) + 1 if good.any() else 0]
