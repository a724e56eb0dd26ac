"""What a store did not read again, and why: counters of its caches and dictionaries."""

from engramctl.storage.dictionary.served import Served
from engramctl.storage.direct.direct_rows import DirectRows
from engramctl.storage.requests.stats import StoreStats


def give_kept(stats: StoreStats, read: DirectRows, served: Served | None) -> None:
    """Fill in what was not read again, and why."""
    cache = read.cache
    if cache is not None:
        stats.cache_hits, stats.cache_misses = cache.hits, cache.misses
        stats.cache_rows_missed, stats.chance_hits = cache.rows_missed, cache.chance_hits
        stats.cache_rows, stats.cache_bytes = cache.rows, cache.num_bytes
    stats.record_reads = read.record_reads
    if served is None:
        return
    stats.index_bytes = sum(one.index_bytes for one in served.records.files)
    if served.mined is not None:
        stats.dictionary_hits = served.mined.hits
        stats.dictionary_compared = served.mined.compared
        stats.dictionary_lost = served.mined.lost
    if served.filled is not None and served.filling is not None:
        log = served.filling.log
        stats.log_hits, stats.log_compared = served.filled.hits, served.filled.compared
        stats.log_entries, stats.log_dropped = log.entries, log.dropped
        stats.log_bytes_written = served.filling.bytes_written
        stats.log_stopped = log.stopped or served.filled.lost
