"""The compiled loops that make records: count partitions, scatter.

All integers that meet in an expression are uint64: numba turns int64 with uint64 into float64.
Windows never cross a document: behind its end they hold `end_id`.
"""

# ruff: noqa: D417  (arguments that several kernels share are told once, above each)
import numpy as np
from numpy.typing import NDArray

from engramctl.counting.keys import Words, bucket, push
from engramctl.runtime.kernel_cache import compiled

_U0, _U1, _U12 = np.uint64(0), np.uint64(1), np.uint64(12)


@compiled
def histogram(
    ids: NDArray[np.uint32],
    offsets: NDArray[np.int64],
    tail: int,
    end_id: np.uint64,
    low_bits: np.uint64,
    counts: NDArray[np.int64],
) -> None:
    """Add the number of records in each partition to `counts`.

    Args:
        ids: uint32 tokens of a chunk.
        offsets: int64, documents + 1.
        tail: last ids of the chunk, which begin no window here.
        end_id: stands behind the last id of a document, uint64.
        low_bits: 12 - log2(partitions), uint64; a partition is `bucket >> low_bits`.
        counts: int64 (partitions,).
    """
    for document in range(len(offsets) - 1):
        stop = offsets[document + 1]
        begins = min(stop, len(ids) - tail)
        for at in range(offsets[document], min(stop - 1, begins)):
            counts[bucket(np.uint64(ids[at]), np.uint64(ids[at + 1])) >> low_bits] += 1
        if offsets[document] < stop == begins:
            counts[bucket(np.uint64(ids[stop - 1]), end_id) >> low_bits] += 1


@compiled
def token(ids: NDArray[np.uint32], at: int, stop: int, end_id: np.uint64) -> np.uint64:
    """Return an id, or `end_id` from the end of the document on."""
    return np.uint64(ids[at]) if at < stop else end_id


@compiled
def record(
    ids: NDArray[np.uint32],
    at: int,
    stop: int,
    window: Words,
    end_id: np.uint64,
    low_bits: np.uint64,
    id_bits: np.uint64,
) -> tuple[np.uint64, np.uint64, np.uint64]:
    """Return the partition and the record (two words) of the window that begins at `at`."""
    first = np.uint64(ids[at])
    second = token(ids, at + 1, stop, end_id)
    whole = bucket(first, second)
    hi = _U0
    lo = ((whole & ((_U1 << low_bits) - _U1)) << id_bits) | first
    if id_bits > _U12:
        hi, lo = push(hi, lo, second >> _U12, id_bits - _U12)
    for place in range(2, len(window)):
        hi, lo = push(hi, lo, token(ids, at + place, stop, end_id), id_bits)
    return whole >> low_bits, hi, lo


@compiled
def scatter(
    ids: NDArray[np.uint32],
    offsets: NDArray[np.int64],
    tail: int,
    window: Words,
    end_id: np.uint64,
    low_bits: np.uint64,
    id_bits: np.uint64,
    words: Words,
    ends: NDArray[np.int64],
    records: NDArray[np.uint64],
) -> None:
    """Write each window's record to its partition; keys are computed again, not stored.

    Args:
        ids, offsets, tail, end_id, low_bits: as for `histogram`.
        window: of as many ids as a record holds.
        id_bits: v, uint64.
        words: of a record.
        ends: int64 (partitions,): where the next record of a partition goes; moved on.
        records: uint64, flat.
    """
    packing = (window, end_id, low_bits, id_bits)
    for document in range(len(offsets) - 1):
        stop = offsets[document + 1]
        begins = min(stop, len(ids) - tail)
        full = min(begins, stop - len(window) + 1)
        at = offsets[document]
        while at < full:  # `stop` out of reach: no id is compared with it
            _put(record(ids, at, at + len(window), *packing), words, ends, records)
            at += 1
        while at < begins:
            _put(record(ids, at, stop, *packing), words, ends, records)
            at += 1


@compiled
def _put(
    made: tuple[np.uint64, np.uint64, np.uint64],
    words: Words,
    ends: NDArray[np.int64],
    records: NDArray[np.uint64],
) -> None:
    partition, hi, lo = made
    place = ends[partition]
    ends[partition] = place + 1
    if len(words) == 1:
        records[place] = lo
    else:
        records[2 * place] = hi
        records[2 * place + 1] = lo
