"""What a store has done since it was opened."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class StoreStats:
    """What a store has done since it was opened.

    Attributes:
        mode: `memory`; on the ssd tier `mapped` (the page cache is the cache) or `direct`.
        engine: what reads the rows.
        fallback: what could not be had and was replaced, in words; None: nothing.
        rows_asked: row ids in all requests.
        rows_unique: distinct row ids, request by request and layer by layer. Ids on a device are
            not compared, which would mean to wait for them: all count as distinct.
        rows_by_tier: distinct rows each tier served. A row of a request that is read in parts is of
            the tier that served it first, unless the row cache lost it between two of them: then it
            was read, and counts for `ssd`, once more.
        useful_bytes: of the records of the distinct rows.
        device_reads: reads asked of the disk, pages that touch joined. When mapped: of pages the
            store had not touched before; the page cache may have served some of them.
        device_bytes: bytes of those pages.
        cache_hits: row ids found in the row cache, repeated ones included.
        cache_misses: row ids that were not.
        cache_rows_missed: distinct ones of these, request by request and layer by layer: as
            `rows_by_tier` counts them.
        chance_hits: of the hits, rows that another n-gram had brought: heads share rows. Told where
            `prefetch` is given n-gram keys.
        cache_rows: rows in it now.
        cache_bytes: memory it takes, all it needs beside the rows included.
        dictionary_hits: n-grams whose missed rows one record of the table's dictionary served.
        dictionary_compared: of its records, those that were compared with the table's rows.
        dictionary_lost: why nothing is taken from it any more; None: it serves.
        log_hits: n-grams whose missed rows one record of the self-filled dictionary served.
        log_compared: as `dictionary_compared`.
        log_entries: n-grams it knows now.
        log_dropped: n-grams it had and dropped for newer ones.
        log_bytes_written: to its file, since the store was opened.
        log_stopped: why it takes no n-grams any more; None: it does.
        index_bytes: memory that finds records; not of the budget.
        record_reads: of the device reads, those of records.
        queue_depth: most reads that were under way at once, of one batch.
        stall_ns: time `wait` spent until its rows were ready.
    """

    mode: str = "memory"
    engine: str = "memory"
    fallback: str | None = None
    rows_asked: int = 0
    rows_unique: int = 0
    rows_by_tier: dict[str, int] = field(default_factory=dict)
    useful_bytes: int = 0
    device_reads: int = 0
    device_bytes: int = 0
    cache_hits: int = 0
    cache_misses: int = 0
    cache_rows_missed: int = 0
    chance_hits: int = 0
    cache_rows: int = 0
    cache_bytes: int = 0
    dictionary_hits: int = 0
    dictionary_compared: int = 0
    dictionary_lost: str | None = None
    log_hits: int = 0
    log_compared: int = 0
    log_entries: int = 0
    log_dropped: int = 0
    log_bytes_written: int = 0
    log_stopped: str | None = None
    index_bytes: int = 0
    record_reads: int = 0
    queue_depth: int = 0
    stall_ns: int = 0

    @property
    def amplification(self) -> float | None:
        """Bytes asked of the disk for each byte of a distinct row; None before any row."""
        return self.device_bytes / self.useful_bytes if self.useful_bytes else None

    def count(self, asked: int, distinct: int) -> None:
        """Count rows that were asked for."""
        self.rows_asked += asked
        self.rows_unique += distinct

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)
