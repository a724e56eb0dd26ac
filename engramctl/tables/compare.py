"""Rows of one source compared with those of another, byte for byte: `verify --against`."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from engramctl.errors import CheckFailed
from engramctl.hashing import lookup_from_dict
from engramctl.runtime.threads import default_workers
from engramctl.storage.reading.source import RecordReader
from engramctl.storage.reading.table import offered_again
from engramctl.tables.opened_rows import Opened
from engramctl.vocabulary.fingerprints import check_same, of_scheme

CHUNK_BYTES = 4 << 20
SAMPLE_RUN = 64  # rows read together when rows are sampled
Piece = tuple[int, int, int]  # layer, first row, row after the last


@dataclass(frozen=True)
class AgainstReport:
    """What was compared and found equal.

    Attributes:
        rows: how many rows.
        sampled: whether that is a sample.
    """

    rows: int
    sampled: bool


def compare_rows(
    ours: Opened,
    theirs: Opened,
    *,
    sample_rows: int | None = None,
    seed: int = 0,
    progress: Callable[[int], None] = lambda amount: None,
    workers: int | None = None,
) -> AgainstReport:
    """Compare the records of two sources.

    Args:
        ours: what is checked.
        theirs: what it should be equal to.
        sample_rows: about how many rows of each layer, first and last always among them; None: all.
        seed: of the sample.
        progress: told of rows as they are compared.
        workers: reading threads (default: one a core).

    Raises:
        CheckFailed: the geometry differs, or the first row that does, with layer, row and byte.
        StorageError: a read failed.
    """
    _check_geometry(ours, theirs)
    pieces = list(_pieces(ours, sample_rows, seed))
    width = ours.rows.record.record_bytes
    with RecordReader(ours.rows) as left, RecordReader(theirs.rows) as right:

        def compare(piece: Piece) -> tuple[int, int, int, int] | None:
            layer, start, stop = piece
            found = np.empty((stop - start, width), np.uint8)
            wanted = np.empty_like(found)
            left.read(layer, start, found)
            right.read(layer, start, wanted)
            if np.array_equal(found, wanted):
                return None
            row, byte = (int(at[0]) for at in np.nonzero(found != wanted))
            return start + row, byte, int(wanted[row, byte]), int(found[row, byte])

        pool = ThreadPoolExecutor(workers or default_workers(), thread_name_prefix="against")
        try:
            for piece, different in zip(pieces, pool.map(compare, pieces), strict=True):
                if different is not None:
                    raise _different(ours, theirs, piece[0], *different)
                progress(piece[2] - piece[1])
        finally:
            pool.shutdown(cancel_futures=True)
    return AgainstReport(sum(stop - start for _, start, stop in pieces), sample_rows is not None)


def rows_to_compare(ours: Opened, sample_rows: int | None) -> int:
    """Return about how many rows `compare_rows` will compare, for a progress bar."""
    sizes = [ours.rows.num_rows(layer) for layer in ours.rows.layers]
    return sum(size if sample_rows is None else min(size, sample_rows) for size in sizes)


def _pieces(ours: Opened, sample_rows: int | None, seed: int) -> Iterator[Piece]:
    step = max(1, CHUNK_BYTES // ours.rows.record.record_bytes)
    random = np.random.default_rng(seed)
    for layer in ours.rows.layers:
        total = ours.rows.num_rows(layer)
        if sample_rows is None or sample_rows >= total:
            for start in range(0, total, step):
                yield layer, start, min(start + step, total)
            continue
        runs = -(-total // SAMPLE_RUN)
        count = min(runs, max(2, -(-sample_rows // SAMPLE_RUN)))
        chosen = {0, runs - 1} | set(random.integers(0, runs, max(0, count - 2)).tolist())
        for run in sorted(chosen):
            yield layer, run * SAMPLE_RUN, min((run + 1) * SAMPLE_RUN, total)


def _check_geometry(ours: Opened, theirs: Opened) -> None:
    of_ours, of_theirs = (
        of_scheme(lookup_from_dict(dict(one.scheme)).canonical, str(one.path))
        for one in (ours, theirs)
    )
    hint = "equal rows are read by other ids: build or lay out with one tokenizer"
    check_same(of_theirs, of_ours, hint, CheckFailed)
    found, wanted = (
        {
            "rows": {layer: one.rows.num_rows(layer) for layer in one.rows.layers},
            "dtype": one.rows.record.dtype,
            "row_dim": one.rows.record.row_dim,
            "table_scale": {layer: one.rows.table_scale(layer) for layer in one.rows.layers},
        }
        for one in (ours, theirs)
    )
    for name, expected in wanted.items():
        if found[name] != expected:
            raise CheckFailed(
                f"{ours.path} cannot hold the rows of {theirs.path}: {name} differ",
                facts={"expected": expected, "found": found[name]},
            )


def _different(
    ours: Opened, theirs: Opened, layer: int, row: int, byte: int, wanted: int, found: int
) -> CheckFailed:
    return CheckFailed(
        f"row {row:,} of layer {layer} differs from {theirs.path}",
        facts={
            "byte of the record": byte,
            "expected": f"0x{wanted:02x}",
            "found": f"0x{found:02x}",
        },
        hint=offered_again(ours.path, ours.provenance.command, "layout"),
    )
