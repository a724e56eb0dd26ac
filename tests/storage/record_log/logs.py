"""Small logs: n-grams and their records, what a reader gets of them, and the log made with them."""

import functools
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.record_log.record_log import RecordLog

Ngram = tuple[int, int, int]  # order index, low and high word
DIGEST = "00112233445566778899aabbccddeeff"
ORDERS, KEY_BITS = 3, 68
RECORD_BYTES = 1500
SMALL: dict[str, Any] = {  # two or three entries a segment, three segments
    "table_xxh3_128": DIGEST,
    "record_bytes": RECORD_BYTES,
    "num_orders": ORDERS,
    "key_bits": KEY_BITS,
    "size_bytes": 4096 * 10,
    "segment_bytes": 1,
}
LARGER: dict[str, Any] = {**SMALL, "size_bytes": 1 << 20, "segment_bytes": 1 << 17}


def small_log(path: Path, **changed: Any) -> RecordLog:
    """Open a log of `SMALL`, or make it."""
    return RecordLog.open(path, **{**SMALL, **changed})


def ngrams(count: int, seed: int = 0) -> list[Ngram]:
    """Distinct n-grams of every order; some share their words."""
    random = np.random.default_rng(seed)
    lows = random.integers(0, 1 << 64, -(-count // 12), np.uint64, endpoint=False).tolist()
    return [(order, low, high) for low in lows for high in (0, 1, 8, 15) for order in range(3)][
        :count
    ]


@functools.cache
def record_of(ngram: Ngram, record_bytes: int = RECORD_BYTES) -> NDArray[np.uint8]:
    """The one record that an n-gram has; its last byte is not 0."""
    random = np.random.default_rng(ngram)
    record = random.integers(0, 256, record_bytes, np.uint8, endpoint=False)
    record[-1] |= 1
    return record


def arrays(these: list[Ngram]) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Order index (n,) and keys (n, 2)."""
    orders = np.array([one[0] for one in these], np.int64)
    return orders, np.array([one[1:] for one in these], np.uint64).reshape(-1, 2)


def append(log: RecordLog, these: list[Ngram]) -> int:
    """Append n-grams with their records."""
    size = log.entry_bytes - log.head_bytes
    records = np.stack([record_of(one, size) for one in these]) if these else np.empty((0, size))
    return log.append(*arrays(these), records.astype(np.uint8))


def read(log: RecordLog, number: int) -> bytes:
    """Read an entry from the file as a reader does, by the log's geometry alone."""
    segment, place = divmod(number, log.entries_per_segment)
    begin = log.first_offset + segment * log.segment_bytes + place * log.entry_bytes
    with open(log.path, "rb") as file:
        file.seek(begin)
        return file.read(log.entry_bytes)


def served(log: RecordLog, asked: list[Ngram]) -> set[Ngram]:
    """The n-grams whose record a reader gets; it must be the right one."""
    found = set()
    for ngram in asked:
        key = np.array(ngram[1:], np.uint64)
        [number] = log.find(ngram[0], key[None]).tolist()
        if number < 0:
            continue
        entry = read(log, number)
        if log.valid(number, ngram[0], key, entry):
            size = log.entry_bytes - log.head_bytes
            assert entry[log.head_bytes :] == record_of(ngram, size).tobytes()
            found.add(ngram)
    return found


def served_of_file(path: Path, asked: list[Ngram], **changed: Any) -> set[Ngram]:
    """Open a log, ask it, close it."""
    with small_log(path, **changed) as log:
        return served(log, asked)
