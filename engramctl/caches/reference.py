"""Caches and curves in plain Python: what the kernels must give. For tests and for reading."""

from collections import Counter, OrderedDict, deque
from collections.abc import Iterable, Sequence

from engramctl.storage.cache.s3fifo import MAX_HITS, PROMOTE_HITS
from engramctl.storage.cache.slots import queue_sizes


def lru_hits(rows: Iterable[int], cache_rows: int) -> int:
    """Count the hits of an LRU cache.

    Example:
        >>> lru_hits([1, 2, 1, 3, 2], 2)
        1
    """
    cache: OrderedDict[int, None] = OrderedDict()
    hits = 0
    for row in rows:
        hits += row in cache
        cache[row] = None
        cache.move_to_end(row)
        if len(cache) > cache_rows:
            cache.popitem(last=False)
    return hits


class S3FifoReference:
    """S3-FIFO as the paper writes it (Algorithm 1), with queues of Python."""

    def __init__(self, capacity: int) -> None:
        """Begin empty."""
        self.capacity = capacity
        self.small_rows, self.main_rows = queue_sizes(capacity)
        self.small: deque[int] = deque()
        self.main: deque[int] = deque()
        self.ghost: dict[int, int] = {}  # row -> number of its entry
        self.entries = 0
        self.hits: dict[int, int] = {}

    def access(self, row: int) -> bool:
        """Take one access; returns whether it hit."""
        if row in self.hits:
            self.hits[row] = min(self.hits[row] + 1, MAX_HITS)
            return True
        known = self.ghost.pop(row, None) is not None
        while len(self.hits) >= self.capacity:
            if len(self.small) >= self.small_rows:
                self._evict_small()
            else:
                self._evict_main()
        (self.main if known else self.small).append(row)
        self.hits[row] = 0
        return False

    def _evict_small(self) -> None:
        while self.small:
            row = self.small.popleft()
            if self.hits[row] >= PROMOTE_HITS:
                if len(self.main) >= self.main_rows:
                    self._evict_main()
                self.main.append(row)
                self.hits[row] = 0
                continue
            del self.hits[row]
            self.ghost[row] = self.entries
            self.entries += 1
            oldest = self.entries - max(1, self.main_rows)
            self.ghost = {row: number for row, number in self.ghost.items() if number >= oldest}
            return

    def _evict_main(self) -> None:
        while self.main:
            row = self.main.popleft()
            if not self.hits[row]:
                del self.hits[row]
                return
            self.hits[row] -= 1
            self.main.append(row)


def interleave(documents: Sequence[Sequence[int]], streams: int) -> list[int]:
    """Take one token from each of `streams` documents in turn; an ended one is replaced.

    Example:
        >>> interleave([[1, 2], [10, 11, 12], [20]], 2)
        [1, 10, 2, 11, 20, 12]
    """
    waiting = deque(list(document) for document in documents if len(document))
    places: list[list[int]] = [[] for _ in range(streams)]
    order: list[int] = []
    while waiting or any(places):
        for place in range(streams):
            if not places[place] and waiting:
                places[place] = waiting.popleft()
            if places[place]:
                order.append(places[place].pop(0))
    return order


def static_hits(rows: Sequence[int], ranked: Sequence[int], cache_rows: int) -> int:
    """Count accesses to the first `cache_rows` of a ranking."""
    held = set(ranked[:cache_rows])
    return sum(row in held for row in rows)


def ranking(rows: Iterable[int]) -> list[int]:
    """Return rows by accesses, most first, equals by row id.

    Example:
        >>> ranking([7, 5, 5, 3])
        [5, 3, 7]
    """
    counts = Counter(rows)
    return sorted(counts, key=lambda row: (-counts[row], row))


def distinct_in_chunks(keys: Sequence[object], chunk: int) -> tuple[int, int]:
    """Return distinct keys, summed over whole chunks, and the accesses of these chunks.

    Example:
        >>> distinct_in_chunks("aabbc", 2)
        (2, 4)
    """
    whole = len(keys) // chunk
    cut = [keys[at * chunk : (at + 1) * chunk] for at in range(whole)]
    return sum(len(set(part)) for part in cut), whole * chunk
