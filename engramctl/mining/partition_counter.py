"""Partitions counted ahead of the one that is asked for, with bounded memory."""

from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor

from engramctl.counting.count import Rows, count_partition
from engramctl.counting.keys import KeyLayout
from engramctl.counting.spill import SpillStore
from engramctl.mining.options import MineOptions

LARGE_RECORDS = 1 << 22  # a partition above is counted range by range, by the main thread
Counted = Iterable[dict[int, Rows]]


class PartitionCounter:
    """Counts partitions ahead of the one that is asked for, with bounded memory."""

    def __init__(
        self, store: SpillStore, layout: KeyLayout, min_count: int, options: MineOptions
    ) -> None:
        """Count what is in `store`.

        Args:
            store: the records, by partition.
            layout: how they are packed.
            min_count: rows with less are left out as early as can be.
            options: orders, and the number of threads.
        """
        self._store = store
        self._layout = layout
        self._min_count = min_count
        self._options = options
        self._share = 0.0  # of distinct among the records so far

    def all(
        self, numbers: Iterable[int], pool: ThreadPoolExecutor
    ) -> Iterator[tuple[int, Counted]]:
        """Give each partition with its rows, in the order of the numbers."""
        waiting: deque[tuple[int, Future[Counted]]] = deque()
        ahead = 0
        for number in numbers:
            size = self._store.size(number)
            while waiting and (
                len(waiting) > 2 * self._options.num_threads or ahead + size > LARGE_RECORDS
            ):
                ahead -= self._store.size(waiting[0][0])
                yield self._done(*waiting.popleft())
            waiting.append((number, pool.submit(self._start, number)))
            ahead += size
        while waiting:
            yield self._done(*waiting.popleft())

    def _start(self, number: int) -> Counted:
        size = self._store.size(number)
        parts = count_partition(
            lambda: self._store.partition(number),
            self._layout,
            number,
            self._options.orders,
            min_count=self._min_count,
            expected=int(self._share * size),
        )
        return parts if size > LARGE_RECORDS else list(parts)

    def _done(self, number: int, task: Future[Counted]) -> tuple[int, Counted]:
        parts = task.result()
        if isinstance(parts, list) and self._layout.order in parts[0]:
            distinct = sum(part[self._layout.order].distinct for part in parts)
            self._share = max(0.9 * self._share, distinct / self._store.size(number))
        return number, parts
