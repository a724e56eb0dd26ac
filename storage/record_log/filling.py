"""Which n-grams are recorded: seen a second time, not in the log, within what may be written."""

import threading
from bisect import bisect_right
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import ConfigError
from engramctl.storage.record_log.distinct import first_of_each
from engramctl.storage.record_log.record_log import RecordLog
from engramctl.storage.record_log.seen_once import SeenOnce

_MOST_WRITTEN = 1 << 62  # bytes, so that any rate times any number of tokens is a number
MADE_BYTES = 1 << 20  # of records put together at a time
MakeRecords = Callable[[NDArray[np.int64]], NDArray[np.uint8]]


class Filling:
    """Fills a log that nobody else appends to; safe from several threads.

    At no moment more bytes were written than `write_bytes_per_token` times the tokens so far, all
    that the log writes included but the header of its file, and closing it keeps to that too.

    Attributes:
        offered: n-grams that were fetched, each once a call.
        recorded: those that went to the log.
        refused: those that would have, had more bytes been allowed.
    """

    def __init__(self, log: RecordLog, seen: SeenOnce, write_bytes_per_token: float) -> None:
        """Begin with nothing to write.

        Raises:
            ConfigError: a rate that is negative or not finite.
        """
        if not 0 <= write_bytes_per_token < float("inf"):
            raise ConfigError(f"{write_bytes_per_token} bytes a token cannot be written")
        self.log, self.seen, self._rate = log, seen, write_bytes_per_token
        self.offered = self.recorded = self.refused = 0
        self._before = log.bytes_written
        self._tokens = 0
        self.lock = threading.Lock()  # held while the log writes and syncs
        self._counting = threading.Lock()

    def tokens(self, count: int) -> None:
        """Say that so many more tokens were served."""
        with self._counting:
            self._tokens += count

    @property
    def bytes_written(self) -> int:
        """Bytes that the log wrote since this began."""
        return self.log.bytes_written - self._before

    def offer(
        self,
        order_index: NDArray[np.integer],
        keys: NDArray[np.uint64],
        make_records: MakeRecords,
    ) -> int:
        """Record those of the n-grams just fetched that are worth it and that the log has not.

        Args:
            order_index: integers (n,).
            keys: low and high words, uint64 (n, 2); an n-gram that is there twice counts once.
            make_records: given places in `keys`, int64 (k,), returns their records, uint8
                (k, record_bytes), at most `MADE_BYTES` together; by one thread at a time.

        Returns:
            How many were recorded.
        """
        with self.lock:
            if self.log.stopped is not None or not len(keys):
                return 0
            once = first_of_each(order_index, keys)
            self.offered += len(once)
            wanted = once[self.seen.second(order_index[once], keys[once])]
            count = self._affordable(len(wanted))
            self.refused += len(wanted) - count
            step, taken = max(1, MADE_BYTES // self.log.entry_bytes), 0
            for start in range(0, count, step):
                chosen = wanted[start : min(start + step, count)]
                taken += self.log.append(order_index[chosen], keys[chosen], make_records(chosen))
            self.recorded += taken
            return taken

    def _affordable(self, most: int) -> int:
        """Return how many records, up to `most`, may be written now."""
        left = int(min(self._rate * self._tokens, _MOST_WRITTEN)) - self.bytes_written
        return max(0, bisect_right(range(most + 1), left, key=self.log.bytes_at_most) - 1)
