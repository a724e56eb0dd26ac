"""The four compiled loops: count partitions, scatter records, count records, give rows.

All integers that meet in an expression are uint64: numba turns int64 with uint64 into float64.
Windows never cross a document. `skip` ids at the head of a chunk are context: n-grams that end in
them belong to the chunk before.
"""

# ruff: noqa: D417  (arguments that several kernels share are told once, above each)
import numpy as np
from numpy.typing import NDArray

from engramctl.mining.keys import compiled, mix, pack, unpack

_U1, _U32 = np.uint64(1), np.uint64(32)
_HASH = np.uint64(0x9E3779B97F4A7C15)  # 2^64 / golden ratio: unlike the mix, so no clusters


@compiled
def histogram(
    ids: NDArray[np.uint32],
    offsets: NDArray[np.int64],
    skip: int,
    order: int,
    shift: np.uint64,
    counts: NDArray[np.int64],
) -> None:
    """Add the number of n-grams in each partition to `counts`.

    Args:
        ids: uint32 tokens of a chunk.
        offsets: int64, documents + 1.
        skip: leading ids that are context.
        order: ids an n-gram.
        shift: 64 - log2(partitions), uint64; a partition is `mix >> shift`.
        counts: int64 (partitions,).
    """
    mask = np.uint64(0xFFFFFFFF) if order == 3 else ~np.uint64(0)
    low = np.uint64(0xFFFFFFFF) if order == 1 else ~np.uint64(0)
    for document in range(len(offsets) - 1):
        start = offsets[document]
        first = max(start + order - 1, skip)
        hi = lo = np.uint64(0)
        for at in range(start, offsets[document + 1]):
            if order > 2:
                hi = ((hi << _U32) | (lo >> _U32)) & mask
            lo = ((lo << _U32) | np.uint64(ids[at])) & low
            if at >= first:
                counts[mix(hi, lo) >> shift] += 1


@compiled
def scatter(
    ids: NDArray[np.uint32],
    offsets: NDArray[np.int64],
    skip: int,
    order: int,
    shift: np.uint64,
    id_bits: np.uint64,
    surplus: np.uint64,
    ends: NDArray[np.int64],
    records: NDArray[np.uint64],
) -> None:
    """Write the record of each n-gram to its partition; keys are computed again, not stored.

    Args:
        ids, offsets, skip, order, shift: as for `histogram`.
        id_bits, surplus: of the layout, uint64.
        ends: int64 (partitions,): where the next record of a partition goes; moved on.
        records: uint64, one an n-gram.
    """
    mask = np.uint64(0xFFFFFFFF) if order == 3 else ~np.uint64(0)
    low = np.uint64(0xFFFFFFFF) if order == 1 else ~np.uint64(0)
    for document in range(len(offsets) - 1):
        start = offsets[document]
        first = max(start + order - 1, skip)
        hi = lo = np.uint64(0)
        for at in range(start, offsets[document + 1]):
            if order > 2:
                hi = ((hi << _U32) | (lo >> _U32)) & mask
            lo = ((lo << _U32) | np.uint64(ids[at])) & low
            if at >= first:
                partition = mix(hi, lo) >> shift
                records[ends[partition]] = pack(hi, lo, order, id_bits, surplus)
                ends[partition] += 1


@compiled
def slot_of(table: NDArray[np.uint64], record: np.uint64, shift: np.uint64) -> np.uint64:
    """Return the index of a record in a table, or of the free slot where it belongs."""
    last = np.uint64(len(table) - 1)
    slot = ((record ^ (record >> _U32)) * _HASH) >> shift
    while table[slot, 1] != 0 and table[slot, 0] != record:
        slot = (slot + _U1) & last
    return slot


@compiled
def count(
    records: NDArray[np.uint64], table: NDArray[np.uint64], used: int
) -> tuple[NDArray[np.uint64], int]:
    """Count records in an open-addressing table, which grows by four at 60 % load.

    Args:
        records: uint64.
        table: uint64 (slots, 2): record and count, 0 when free; slots is a power of two.
        used: slots taken so far.

    Returns:
        the table, perhaps a larger one, and the slots taken.
    """
    shift = np.uint64(64)
    while len(table) >> (np.uint64(64) - shift) > 1:
        shift -= _U1
    for record in records:
        slot = slot_of(table, record, shift)
        if table[slot, 1] == 0:
            if 10 * (used + 1) > 6 * len(table):
                old = table
                table = np.zeros((4 * len(old), 2), np.uint64)
                shift -= np.uint64(2)
                for index in range(len(old)):
                    if old[index, 1] != 0:
                        slot = slot_of(table, old[index, 0], shift)
                        table[slot, 0] = old[index, 0]
                        table[slot, 1] = old[index, 1]
                slot = slot_of(table, record, shift)
            table[slot, 0] = record
            used += 1
        table[slot, 1] += _U1
    return table, used


@compiled
def give_rows(
    table: NDArray[np.uint64],
    minimum: np.uint64,
    order: int,
    id_bits: np.uint64,
    surplus: np.uint64,
    partition: np.uint64,
    bits: np.uint64,
    mixes: NDArray[np.uint64],
    ids: NDArray[np.uint32],
    counts: NDArray[np.uint64],
) -> int:
    """Write what a table holds at least `minimum` times; returns how many rows that is.

    Args:
        table: as `count` left it.
        minimum, order, id_bits, surplus, partition, bits: uint64, but `order`.
        mixes: uint64 (rows,), ids: uint32 (rows, order), counts: uint64 (rows,): the results.
    """
    rows = 0
    for index in range(len(table)):
        times = table[index, 1]
        if times >= minimum and times > 0:
            hi, lo = unpack(table[index, 0], order, id_bits, surplus, partition, bits)
            mixes[rows] = mix(hi, lo)
            counts[rows] = times
            for column in range(order - 1, -1, -1):
                ids[rows, column] = lo & np.uint64(0xFFFFFFFF)
                lo = (lo >> _U32) | (hi << _U32)
                hi >>= _U32
            rows += 1
    return rows
