"""One batch, one plan: rows of all layers -> pages, each once -> ranges of files -> addresses.

Rows that lie in one page share it, pages that touch are one range, ranges come in the order of file
and offset. In memory the pages stand side by side in that order, so that a record that crosses
pages is whole there too.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.runtime.kernel_cache import njit
from engramctl.storage.io.pages import FILE_BITS, PAGE
from engramctl.storage.io.row_map import (
    COLUMNS,
    SCALE_BYTES,
    WEIGHT_BYTES,
    RowMap,
    first_outside,
    locate,
    part_sizes,
    piece_of,
)
from engramctl.storage.readers.batch import Batch

_SHIFT = PAGE.bit_length() - 1
MOST_PAGES = 32  # of one range: more gain nothing, and the last one would be waited for


@dataclass(frozen=True)
class PagePlan:
    """The pages of a batch, and which part of which row lies where in them.

    All its arrays may stand in memory of the caller's, one behind the other: see `plan_words`.

    Attributes:
        pages_P: keys of pages (see `page_key`), ascending, each once, int64 (P,).
        places: layer -> int64 (n, 2): place of each row's values and scales, file and offset.
        room: int64: where ranges go; None: to memory of their own.
    """

    pages_P: NDArray[np.int64]
    places: Mapping[int, NDArray[np.int64]]
    room: NDArray[np.int64] | None = None

    @classmethod
    def of(
        cls,
        rows: Mapping[int, NDArray[np.int64]],
        maps: Mapping[int, RowMap],
        files: Mapping[int, NDArray[np.int64]],
        room: NDArray[np.int64] | None = None,
    ) -> "PagePlan":
        """Plan the rows of a batch.

        Args:
            rows: layer -> row ids, int64 (n,), any order, repeats allowed.
            maps: layer -> where its rows lie in files; see `RowMap.in_files`.
            files: layer -> number of the file of each piece and column, int64 (S, 1 or 2).
            room: what the plan is written to, int64; None: memory of its own.

        Raises:
            IndexError: a row id outside its map, or a room that is too small.
        """
        if room is None:
            room = np.empty(sum(plan_words(maps[one], len(rows[one])) for one in rows), np.int64)
        places, used = {}, 0
        for layer, ids in rows.items():
            places[layer] = room[used : used + 2 * len(ids)].reshape(-1, 2)
            used += 2 * len(ids)
        pages, found = room[used:], 0
        for layer, ids in rows.items():
            found += touched(ids, maps[layer].packed, files[layer], places[layer], pages[found:])
        return cls.of_pages(pages[:found], places, pages)

    @classmethod
    def of_pages(
        cls,
        pages: NDArray[np.int64],
        places: Mapping[int, NDArray[np.int64]] | None = None,
        room: NDArray[np.int64] | None = None,
    ) -> "PagePlan":
        """Plan pages, given as keys in any order, repeats allowed; the array is sorted in place.

        Args:
            pages: the keys, int64.
            places: see PagePlan.
            room: int64, begins with `pages`.
        """
        pages.sort()
        count = once(pages)
        return cls(pages[:count], places or {}, None if room is None else room[count:])

    def batch(self, address: int, sizes: NDArray[np.int64]) -> Batch:
        """Return the ranges that bring the pages to memory.

        Args:
            address: where the first page goes; the others follow it.
            sizes: bytes of each file, int64, by number: a range ends there at the latest.

        Raises:
            IndexError: the room is too small.
        """
        most = len(self.pages_P)
        room = np.empty(6 * most, np.int64) if self.room is None else self.room
        if len(room) < 6 * most:
            raise IndexError("there is no room for the ranges of a plan")
        count = ranges_of(self.pages_P, address, sizes, room[: 5 * most].reshape(-1, 5))
        got_R = room[5 * count : 6 * count]
        got_R[:] = 0
        return Batch(room[: 5 * count].reshape(-1, 5), got_R)

    def addresses(self, layer: int, address: int) -> NDArray[np.int64]:
        """Return where each row's values and scales are once the pages are there, int64 (n, 2).

        Once a layer: the addresses take the place of the layer's `places`.
        """
        settle(self.places[layer], self.pages_P, address)
        return self.places[layer]

    def ranges(self, layer: int) -> int:
        """Return how many ranges bring the layer's rows, counted from the first: taken for all."""
        return len(self.pages_P)


def plan_words(row_map: RowMap, num_rows: int) -> int:
    """Return the most int64 that a plan of rows takes: places, pages and their ranges."""
    return num_rows * (2 + 7 * most_pages(row_map))


@njit(nogil=True, cache=True)
def settle(places_N2: Any, pages_P: Any, address: Any) -> None:
    """Turn places into addresses: pages stand side by side in memory, in the order of keys."""
    at = 0
    for i in range(places_N2.shape[0]):
        for part in range(2):
            place = places_N2[i, part]
            page = place >> _SHIFT
            if pages_P[at] != page:
                at = np.searchsorted(pages_P, page)
                if at == pages_P.shape[0] or pages_P[at] != page:
                    at = 0  # no byte of this part is read, or the place was no place
            places_N2[i, part] = address + (at << _SHIFT) + (place & (PAGE - 1))


@njit(nogil=True, cache=True)
def touched(rows: Any, packed: Any, files_SC: Any, places_N2: Any, out: Any) -> Any:
    """Fill in the places of rows and every page they touch, as often as they do; how many."""
    if first_outside(rows, 0, rows.shape[0], packed) >= 0:
        raise IndexError("a row id is outside the table")
    parts, sizes = part_sizes(packed)
    most = ((sizes[0] - 2) >> _SHIFT) + 2 + (((sizes[1] - 2) >> _SHIFT) + 2 if parts > 1 else 0)
    if out.shape[0] < rows.shape[0] * most:
        raise IndexError("there is no room for the pages of a plan")
    found = 0
    for i in range(rows.shape[0]):
        piece = piece_of(rows[i], packed)
        weight, scale = locate(rows[i], piece, packed)
        places_N2[i, 0] = (files_SC[piece, 0] << FILE_BITS) | weight
        places_N2[i, 1] = (files_SC[piece, files_SC.shape[1] - 1] << FILE_BITS) | scale
        for part in range(parts):
            first = places_N2[i, part]
            for page in range(first >> _SHIFT, ((first + sizes[part] - 1) >> _SHIFT) + 1):
                out[found] = page
                found += 1
    return found


@njit(nogil=True, cache=True)
def rows_that_fit(rows: Any, start: Any, packed: Any, files_SC: Any, most: Any) -> Any:
    """Return the position after the last row that finds room, counted from `start` on.

    Args:
        rows: row ids, ascending, int64 (n,).
        start: the first that is counted; it fits in any case.
        packed: see RowMap.
        files_SC: see `PagePlan.of`.
        most: pages there is room for.

    Raises:
        IndexError: a row id outside the map.
    """
    if first_outside(rows, start, rows.shape[0], packed) >= 0:
        raise IndexError("a row id is outside the table")
    parts, sizes = part_sizes(packed)
    last = np.full(2, -1, np.int64)
    used = 0
    for i in range(start, rows.shape[0]):
        piece = piece_of(rows[i], packed)
        places = locate(rows[i], piece, packed)
        for part in range(parts):
            first = (files_SC[piece, part] << FILE_BITS) | places[part]
            end = (first + sizes[part] - 1) >> _SHIFT
            page = first >> _SHIFT
            if last[part] >> (FILE_BITS - _SHIFT) == first >> FILE_BITS:
                page = max(page, last[part] + 1)  # rows ascend in a file, but files need not
            used += max(0, end - page + 1)
            last[part] = end
        if used > most and i > start:
            return i
    return rows.shape[0]


@njit(nogil=True, cache=True)
def once(pages: Any) -> Any:
    """Keep each of sorted pages once, at the front; return how many these are."""
    kept = 0
    for i in range(pages.shape[0]):
        if kept == 0 or pages[i] != pages[kept - 1]:
            pages[kept] = pages[i]
            kept += 1
    return kept


@njit(nogil=True, cache=True)
def ranges_of(pages_P: Any, address: Any, sizes: Any, ranges_R5: Any) -> Any:
    """Join pages that touch, of one file, and fill in a line for each; return how many."""
    count = 0
    length = 0
    for i in range(pages_P.shape[0]):
        page = pages_P[i]
        if i == 0 or page != pages_P[i - 1] + 1 or length == MOST_PAGES:
            number = page >> (FILE_BITS - _SHIFT)
            ranges_R5[count, 0] = number
            ranges_R5[count, 1] = (page << _SHIFT) & ((1 << FILE_BITS) - 1)
            ranges_R5[count, 3] = address + (i << _SHIFT)
            count += 1
            length = 0
        length += 1
        line = ranges_R5[count - 1]
        line[2] = length << _SHIFT
        line[4] = min(line[2], sizes[line[0]] - line[1])
    return count


@njit(nogil=True, cache=True)
def count_up(out: Any) -> None:
    """Write 0, 1, 2, ..., int64 (n,)."""
    for i in range(out.shape[0]):
        out[i] = i


def file_numbers(
    source_regions: Sequence[tuple[Any, ...]], number_of: Mapping[Any, int]
) -> NDArray[np.int64]:
    """Return the number of the file of each piece and column, int64 (S, 1 or 2)."""
    return np.array([[number_of[one.path] for one in piece] for piece in source_regions], np.int64)


def most_pages(row_map: RowMap) -> int:
    """Return the most pages that one row can touch: of page-packed records within a page, one."""
    weight, scale = int(row_map.packed[WEIGHT_BYTES]), int(row_map.packed[SCALE_BYTES])
    if row_map.packed[COLUMNS] == 1:
        at, unit_rows, unit_bytes, width = row_map.regions_SC4[:, 0].T
        if ((at % PAGE == 0) & (unit_bytes == PAGE) & (unit_rows * width <= PAGE)).all():
            return 1
    parts = [weight, scale] if row_map.packed[COLUMNS] > 1 else [weight + scale]
    return sum(((size - 2) >> _SHIFT) + 2 for size in parts)
