"""What a budget of memory is good for: pages, threads, and how much is read ahead."""

from dataclasses import dataclass

from engramctl.errors import StorageError
from engramctl.storage.memory.slab import PAGE

_OF_BUDGET = 0.97  # is pages, plans and engines; the rest is for Python's objects
_AHEAD_BYTES = 1 << 20  # of a budget, for each batch that may be read ahead, up to _MOST_AHEAD
_MOST_AHEAD = 64  # as many as tickets may be open
_THREAD_BYTES = 1 << 19  # of a budget, for each thread that reads
_NGRAM_BYTES = 1 << 13  # of a budget, for each n-gram of a batch: looking it up takes 200 beside it


@dataclass(frozen=True)
class Budget:
    """Most memory that rows may take, on their way and in a cache.

    Attributes:
        reading_bytes: for rows on their way.
        cache_bytes: beside them, for a row cache.
    """

    reading_bytes: int
    cache_bytes: int

    @property
    def threads(self) -> int:
        """Threads that read, where threads do."""
        return max(4, min(64, self.reading_bytes // _THREAD_BYTES))

    @property
    def most_ngrams(self) -> int:
        """N-grams of a batch that are looked up, at most."""
        return self.reading_bytes // _NGRAM_BYTES

    @property
    def most_ahead(self) -> int:
        """Batches that are read ahead, at most."""
        return min(_MOST_AHEAD, self.reading_bytes // _AHEAD_BYTES)

    def pages(self, engine_bytes: int, least: int) -> int:
        """Return how many pages there are for rows on their way.

        Args:
            engine_bytes: what the engine takes itself.
            least: pages without which nothing can be read.

        Raises:
            StorageError: there are fewer.
        """
        pages = (int(self.reading_bytes * _OF_BUDGET) - engine_bytes) // PAGE
        if pages >= least:
            return pages
        beside = f" beside a row cache of {self.cache_bytes:,}" if self.cache_bytes else ""
        raise StorageError(
            "the budget is too small to read rows in",
            facts={
                "needed": f"{int((least * PAGE + engine_bytes) / _OF_BUDGET) + PAGE:,} bytes",
                "budget": f"{self.reading_bytes:,} bytes{beside}",
            },
        )
