"""A small batch planned by one call of a kernel, because there a call costs more than its work.

It finds what `PagePlan` finds, in one piece of memory, and also how many ranges bring the rows of
each layer: who waits for one layer need not wait for the next one's rows.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.runtime.kernel_cache import njit
from engramctl.storage.io.page_plan import once, ranges_of, settle, touched
from engramctl.storage.io.row_map import SCALE_BYTES, WEIGHT_BYTES, RowMap
from engramctl.storage.readers.batch import ADDRESS, Batch

MOST_ROWS = 512  # above it numpy's sort gains more than calls cost
_LAYER, _END, _RANGES = range(3)
_HEAD = 4  # facts of a layer: where its map begins and ends, and the numbers of its files


@dataclass(slots=True)
class StepPlan:
    """Where the rows of a small batch will lie, and what brings them.

    Attributes:
        batch: all of it.
        parts: layer -> addresses of its rows' values and scales, int64 (n, 2), and how many ranges
            must have come for them, counted from the first.
    """

    batch: Batch
    parts: dict[int, tuple[NDArray[np.int64], int]]

    def addresses(self, layer: int, _: int) -> NDArray[np.int64]:
        """Return where each row's values and scales are once the pages are there, int64 (n, 2)."""
        return self.parts[layer][0]

    def ranges(self, layer: int) -> int:
        """Return how many ranges bring the layer's rows, counted from the first."""
        return self.parts[layer][1]


class StepPlanner:
    """Plans the steps of one store."""

    def __init__(
        self, maps: Mapping[int, RowMap], files: Mapping[int, NDArray[np.int64]],
        sizes: NDArray[np.int64],
    ) -> None:  # fmt: skip
        """Join what the kernel needs to know of all layers in one array: it costs by the argument.

        Args:
            maps: see `PagePlan.of`.
            files: see `PagePlan.of`.
            sizes: bytes of each file, by number.
        """
        self._number = {layer: number for number, layer in enumerate(maps)}
        self._sizes = sizes
        heads: list[int] = []
        parts: list[NDArray[np.int64]] = []
        at = _HEAD * len(maps)
        for layer, row_map in maps.items():
            middle = at + len(row_map.packed)
            end = middle + files[layer].size
            heads += [at, middle, end, files[layer].shape[1]]
            parts += [row_map.packed, files[layer].reshape(-1)]
            at = end
        self._facts = np.concatenate([np.array(heads, np.int64), *parts])

    def plan(
        self, rows: Mapping[int, NDArray[np.int64]], room: NDArray[np.int64], address: int
    ) -> StepPlan:
        """Plan the rows of a batch.

        Args:
            rows: layer -> row ids, int32 or int64 (n,), at most MOST_ROWS together.
            room: what the plan is written to, int64: `plan_words` of all rows.
            address: where the first page goes; the others follow it.

        Raises:
            IndexError: a row id outside its map, or a room that is too small.
        """
        ids = list(rows.values())
        flat = np.concatenate(ids, dtype=np.int64)
        request = np.empty((len(ids), 3), np.int64)
        total = 0
        for k, (layer, some) in enumerate(rows.items()):
            total += len(some)
            request[k, _LAYER], request[k, _END] = self._number[layer], total
        first, count = _plan(flat, request, self._facts, self._sizes, room, address)
        middle = first + 5 * count
        batch = Batch(room[first:middle].reshape(-1, 5), room[middle : middle + count])
        where = room[: 2 * total].reshape(-1, 2)
        parts, start = {}, 0
        for layer, (_, end, ranges) in zip(rows, request.tolist(), strict=True):
            parts[layer] = where[start:end], ranges
            start = end
        return StepPlan(batch, parts)


@njit(nogil=True, cache=True)
def _plan(rows: Any, request_L3: Any, facts: Any, sizes: Any, room: Any, address: Any) -> Any:
    """Fill in room: addresses, pages, ranges and what has come of them, which is nothing.

    Args:
        rows: row ids of all layers, int64 (n,).
        request_L3: for each layer its number, the end of its rows, and then its ranges.
        facts: see StepPlanner.
        sizes: bytes of each file.
        room: see `StepPlanner.plan`.
        address: where the first page goes.

    Returns:
        (where the ranges begin in room, how many they are).
    """
    total = rows.shape[0]
    where_N2 = room[: 2 * total].reshape(total, 2)
    pages, found, start = room[2 * total :], 0, 0
    for k in range(request_L3.shape[0]):
        head, end = _HEAD * request_L3[k, _LAYER], request_L3[k, _END]
        packed = facts[facts[head] : facts[head + 1]]
        columns = facts[head + 3]
        flat = facts[facts[head + 1] : facts[head + 2]]
        files_SC = flat.reshape(flat.shape[0] // columns, columns)
        found += touched(rows[start:end], packed, files_SC, where_N2[start:end], pages[found:])
        start = end
    pages[:found].sort()
    kept = once(pages[:found])
    pages_P, rest = pages[:kept], pages[kept:]
    if rest.shape[0] < 6 * kept:
        raise IndexError("there is no room for the ranges of a plan")
    ranges_R5 = rest[: 5 * kept].reshape(kept, 5)
    count = ranges_of(pages_P, address, sizes, ranges_R5)
    rest[5 * count : 6 * count] = 0
    start = 0
    for k in range(request_L3.shape[0]):
        head, end = _HEAD * request_L3[k, _LAYER], request_L3[k, _END]
        packed = facts[facts[head] : facts[head + 1]]
        settle(where_N2[start:end], pages_P, address)
        last = np.int64(0)
        for i in range(start, end):
            last = max(last, where_N2[i, 0] + packed[WEIGHT_BYTES] - 1)
            if packed[SCALE_BYTES]:
                last = max(last, where_N2[i, 1] + packed[SCALE_BYTES] - 1)
        needed = 0
        while needed < count and ranges_R5[needed, ADDRESS] <= last:
            needed += 1
        request_L3[k, _RANGES] = needed
        start = end
    return 2 * total + kept, count
