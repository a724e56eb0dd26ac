"""What to count, and with what means."""

import os
from dataclasses import dataclass
from pathlib import Path

from engramctl.counts.ngrams import MAX_ORDER
from engramctl.errors import ConfigError
from engramctl.memory import available_bytes

DEFAULT_MEMORY_BYTES = 644_245_094  # 0.6 GiB
# Measured: the process itself with pyarrow and numba, chunks and tables of two threads; and for
# each order its row groups on their way out. A page of a huge document adds to it.
BASE_BYTES = 368 << 20
ORDER_BYTES = 48 << 20
PARTITION_RECORDS = 1 << 17  # aimed at: the table of a partition stays in the L2 cache
TOP_ROW_BYTES = 128  # of memory for a row of --top-k while it is chosen


@dataclass(frozen=True)
class MineOptions:
    """What to count, and with what means. Only the first three change a result.

    Attributes:
        orders: the orders to count, each 1 to 5.
        min_count: n-grams that occur less often are left out of the files.
        top_k: the most frequent n-grams of each order that are written, the first in row order
            among equals; None: all.
        memory_bytes: for the whole process; records beyond it go to disk.
        tmp_dir: where they go; None: beside the result.
        threads: threads that partition and count; None: one a core, at most 4.
        partition_bits: log2 of the number of partitions; None: by the size of the corpus.
        chunk_tokens: tokens to partition at a time; None: by the size of the corpus.
        resident_bytes: records that stay in memory; None: what `memory_bytes` leaves.
    """

    orders: tuple[int, ...] = (1, 2, 3, 4)
    min_count: int = 1
    top_k: int | None = None
    memory_bytes: int = DEFAULT_MEMORY_BYTES
    tmp_dir: Path | None = None
    threads: int | None = None
    partition_bits: int | None = None
    chunk_tokens: int | None = None
    resident_bytes: int | None = None

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ConfigError: one of them cannot be.
        """
        if not self.orders or len(set(self.orders)) < len(self.orders):
            raise ConfigError("orders must be named once each", hint="write: --orders 1,2,3,4")
        for order in self.orders:
            if not 1 <= order <= MAX_ORDER:
                raise ConfigError(
                    f"order {order} cannot be counted",
                    facts={"expected": f"1 to {MAX_ORDER}", "found": order},
                    hint="write: --orders 1,2,3,4",
                )
        if not 1 <= self.min_count < 1 << 63:
            raise ConfigError(f"min-count must be from 1 to 2^63 - 1, not {self.min_count}")
        if self.top_k is not None and self.top_k < 1:
            raise ConfigError(f"top-k must be 1 or more, not {self.top_k}")
        self._check_memory()

    def _check_memory(self) -> None:
        needed = self.least_memory_bytes
        if self.memory_bytes < needed:
            raise ConfigError(
                f"mining {len(self.orders)} orders needs {-(-needed >> 20)} MiB of memory",
                facts={
                    "expected": f"{needed:,} bytes or more",
                    "found": f"{self.memory_bytes:,} bytes",
                },
                hint=f"write: --memory {-(-needed >> 20)}MiB, or fewer --orders"
                + (", or a smaller --top-k" if self.top_k else ""),
            )

    @property
    def least_memory_bytes(self) -> int:
        """Memory below which mining these orders is refused."""
        return BASE_BYTES + (ORDER_BYTES + TOP_ROW_BYTES * (self.top_k or 0)) * len(self.orders)

    def memory_warning(self) -> str | None:
        """Say that more memory is to be used than is free here; None when there is enough."""
        if self.memory_bytes <= (free := available_bytes()):
            return None
        return (
            f"warning: --memory is {self.memory_bytes:,} bytes, and {free:,} are free here, of "
            "the machine or of the container"
        )

    @property
    def num_threads(self) -> int:
        """Threads to start."""
        return self.threads or min(4, len(os.sched_getaffinity(0)))

    @property
    def longest(self) -> int:
        """Ids of a record: one that counts for all orders."""
        return max(2, *self.orders)

    def chunk_size(self, tokens: int) -> int:
        """Return the tokens to partition at a time, of about `tokens`.

        Even a small corpus makes work for every thread.
        """
        return self.chunk_tokens or min(max(tokens >> 4, 1 << 16), 1 << 21)

    @property
    def resident(self) -> int:
        """Bytes of records that stay in memory."""
        if self.resident_bytes is not None:
            return self.resident_bytes
        return self.memory_bytes - self.least_memory_bytes
