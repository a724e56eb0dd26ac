"""Records of two words, for ids too large for one: exact for every uint32 id, in plain numpy.

Slower than the compiled path. Needed from 2^20 ids on at order 4 and from 2^26 at order 3.
"""

import numpy as np
from numpy.typing import NDArray

from engramctl.mining.chunks import Chunk
from engramctl.mining.keys import MAX_ORDER, QUOTIENT_BITS
from engramctl.mining.keys import plain_fmix64 as fmix64


def mix_arrays(hi: NDArray[np.uint64], lo: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Return `keys.mix` of many keys, uint64."""
    low = (hi & np.uint64(0xFFF)) << np.uint64(64 - QUOTIENT_BITS)
    mixes: NDArray[np.uint64] = fmix64(lo ^ fmix64(hi >> np.uint64(QUOTIENT_BITS))) ^ low
    return mixes


def wide_records(
    chunk: Chunk, order: int, partition_bits: int
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """Return records `(hi, lo)` sorted by partition, flat, and the partitions' bounds.

    Args:
        chunk: ids and documents.
        order: 3 or 4.
        partition_bits: log2 of the number of partitions.
    """
    places = np.arange(len(chunk.ids))
    inside = places - np.repeat(chunk.offsets[:-1], np.diff(chunk.offsets))
    ends = np.flatnonzero((inside >= order - 1) & (places >= chunk.skip))
    ids = chunk.ids.astype(np.uint64)
    half = np.uint64(32)
    lo = (ids[ends - 1] << half) | ids[ends]
    hi = ids[ends - 2]
    if order == 4:
        hi |= ids[ends - 3] << half
    partitions = (mix_arrays(hi, lo) >> np.uint64(64 - partition_bits)).astype(np.int64)
    by_partition = np.argsort(partitions, kind="stable")
    records = np.stack([hi[by_partition], lo[by_partition]], axis=1)
    sizes = np.bincount(partitions, minlength=1 << partition_bits)
    return records.reshape(-1), np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def wide_rows(
    records: NDArray[np.uint64], order: int
) -> tuple[NDArray[np.uint32], NDArray[np.uint64]]:
    """Count the records of one partition.

    Args:
        records: uint64, `(hi, lo)` pairs, flat.
        order: 3 or 4.

    Returns:
        token ids uint32 (rows, order) in the order of the result, and counts uint64 (rows,).
    """
    hi, lo = records[0::2], records[1::2]
    by_row = np.lexsort((hi, mix_arrays(hi, lo)))  # equal mix and equal hi: equal lo
    hi, lo = hi[by_row], lo[by_row]
    new = np.ones(len(hi), bool)
    new[1:] = (hi[1:] != hi[:-1]) | (lo[1:] != lo[:-1])
    begins = np.flatnonzero(new)
    counts = np.diff(np.append(begins, len(hi))).astype(np.uint64)
    hi, lo = hi[begins], lo[begins]
    half = np.uint64(32)
    columns = [hi >> half, hi, lo >> half, lo][MAX_ORDER - order :]
    return np.stack([column.astype(np.uint32) for column in columns], axis=1), counts
