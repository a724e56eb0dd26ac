"""Documents of ids too long to be read whole: given a piece at a time, from their pages.

pyarrow makes a whole document before it gives one: 20 bytes an id and more. Here a page is
decompressed and its ids are given in pieces, so memory is that of one page.
"""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engramctl.corpus.pages import READABLE, BrokenPage, Page, read_page, walk_pages
from engramctl.corpus.parquet import leaf_of, reading
from engramctl.corpus.runs import Runs
from engramctl.sources.file import SourceFile

LONG_IDS = 1 << 22  # a page or, in the mean, a document of more makes a row group long
MEAN_IDS = 1 << 18
PIECE_IDS = 1 << 18
_PLAIN, _PLAIN_DICTIONARY, _RLE_DICTIONARY = 0, 2, 8
_PHYSICAL = {"INT32": "<i4", "INT64": "<i8"}


@dataclass(frozen=True)
class Piece:
    """Ids of whole documents, or of a part of one.

    Attributes:
        ids: flat, of the column's own type.
        offsets: int64, documents + 1.
        first: row of the first document, from 0 in the row group.
        before: ids of the first document that earlier pieces had.
        is_cut: the document, the only one here, goes on in the next piece.
    """

    ids: NDArray[Any]
    offsets: NDArray[np.int64]
    first: int
    before: int = 0
    is_cut: bool = False


def long_pieces(file: SourceFile, meta: Any, group: int, name: str) -> Iterator[Piece] | None:
    """Give a row group's documents in pieces; None where they are short, or cannot be cut.

    Args:
        file: of this machine.
        meta: its footer.
        group: number of the row group.
        name: of the column.

    Raises:
        CorpusError: the file cannot be read, or an id is null; raised as pieces are taken, too.
    """
    schema = meta.schema.to_arrow_schema()
    leaf = leaf_of(schema, name)
    if meta.row_group(group).column(leaf).num_values <= LONG_IDS:
        return None
    with reading(file), pa.OSFile(os.fsencode(file.path)) as source:
        if not is_long(source, meta, group, leaf, schema.field(name).type):
            return None
    return _opened(file, meta, group, leaf, schema.field(name))


def _opened(file: SourceFile, meta: Any, group: int, leaf: int, field: pa.Field) -> Iterator[Piece]:
    with reading(file), pa.OSFile(os.fsencode(file.path)) as source:
        yield from read_pieces(source, meta, group, leaf, field)


def is_long(source: Any, meta: Any, group: int, leaf: int, kind: pa.DataType) -> bool:
    """Tell whether a row group of lists holds documents to be read in pieces, and can be.

    Args:
        source: the open file.
        meta: its footer.
        group: number of the row group.
        leaf: number of the column's leaf.
        kind: arrow type of the column.
    """
    chunk, rows = meta.row_group(group).column(leaf), meta.row_group(group).num_rows
    if chunk.num_values <= LONG_IDS or not _is_readable(meta, chunk, leaf, kind):
        return False
    pages = [page for page in walk_pages(source, chunk) if page.is_data]
    if any(page.encoding not in (_PLAIN, _PLAIN_DICTIONARY, _RLE_DICTIONARY) for page in pages):
        return False
    most = max((page.num_values for page in pages), default=0)
    return most > LONG_IDS or chunk.num_values >= MEAN_IDS * max(1, rows)


def _is_readable(meta: Any, chunk: Any, leaf: int, kind: pa.DataType) -> bool:
    column = meta.schema.column(leaf)
    return bool(
        chunk.compression in READABLE
        and chunk.physical_type in _PHYSICAL
        and pa.types.is_integer(getattr(kind, "value_type", pa.null()))
        and not isinstance(kind, pa.FixedSizeListType | pa.BaseExtensionType)
        and column.max_repetition_level == 1
        and column.max_definition_level in (1, 2, 3)
    )


def read_pieces(source: Any, meta: Any, group: int, leaf: int, field: pa.Field) -> Iterator[Piece]:
    """Give the documents of a row group for which `is_long` said yes.

    Raises:
        BrokenPage: the pages are not as the footer says, or an id is null.
    """
    chunk = meta.row_group(group).column(leaf)
    most = meta.schema.column(leaf).max_definition_level
    element = most - 1 if field.type.value_field.nullable else most
    rows = 0
    document = _Document()
    for starts, present, values in _parts(source, chunk, most, field.type.value_type):
        if int((present < most).sum()) != int((present < element).sum()):
            raise BrokenPage(f"a token id is null, in row {max(0, rows - 1):,} or after")
        ends = np.concatenate([[0], np.cumsum(present == most)])[np.append(starts, len(present))]
        document.add(values[: ends[0]])
        if len(starts):
            if rows:
                yield document.whole(rows - 1)
            middle = values[ends[0] : ends[-2]]
            if len(starts) > 1:
                yield Piece(middle, ends[:-1] - ends[0], rows)
            rows += len(starts)
            document = _Document()
            document.add(values[ends[-2] :])
        while document.is_full:
            yield document.piece(rows - 1)
    if rows:
        yield document.whole(rows - 1)
    if rows != meta.row_group(group).num_rows:
        raise BrokenPage("the pages hold another number of rows than the footer says")


class _Document:
    """A document on its way; what is given of it leaves at least one part behind."""

    def __init__(self) -> None:
        self._parts: list[NDArray[Any]] = []
        self._given = 0

    def add(self, ids: NDArray[Any]) -> None:
        if len(ids) or not self._parts:
            self._parts.append(ids)

    @property
    def is_full(self) -> bool:
        return len(self._parts) > 1 and sum(map(len, self._parts[:-1])) >= PIECE_IDS

    def piece(self, row: int) -> Piece:
        ids = np.concatenate(self._parts[:-1])
        made = Piece(ids, np.array([0, len(ids)], np.int64), row, self._given, is_cut=True)
        self._parts, self._given = self._parts[-1:], self._given + len(ids)
        return made

    def whole(self, row: int) -> Piece:
        ids = np.concatenate(self._parts)
        return Piece(ids, np.array([0, len(ids)], np.int64), row, self._given)


def _parts(
    source: Any, chunk: Any, most: int, kind: pa.DataType
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[Any]]]:
    """Give where documents begin, levels of definition, and ids, some at a time."""
    dtype = np.dtype(kind.to_pandas_dtype())
    physical = np.dtype(_PHYSICAL[chunk.physical_type])
    named: NDArray[Any] | None = None
    for page in walk_pages(source, chunk):
        if not (page.is_data or page.is_dictionary):
            continue
        data, rep_end, def_end = read_page(source, page, chunk.compression)
        if page.is_dictionary:
            named = _plain(data, 0, page.num_values, physical).astype(dtype)
            continue
        repetition, definition, at = _levels(data, rep_end, def_end, most)
        values = _Values(page, data, at, named, physical, dtype)
        for start in range(0, page.num_values, PIECE_IDS):
            count = min(PIECE_IDS, page.num_values - start)
            starts = np.flatnonzero(repetition.take(count) == 0)
            present = definition.take(count)
            yield starts, present, values.take(int((present == most).sum()))


def _levels(
    data: NDArray[np.uint8], rep_end: int, def_end: int, most: int
) -> tuple[Runs, Runs, int]:
    """Return both kinds of levels of a page, and where its values begin."""
    width, at = most.bit_length(), 0
    if def_end >= 0:
        return Runs(data, 0, rep_end, 1), Runs(data, rep_end, def_end, width), def_end
    made = []
    for bits in (1, width):
        length = int.from_bytes(data[at : at + 4].tobytes(), "little")
        made.append(Runs(data, at + 4, at + 4 + length, bits))
        at += 4 + length
    return made[0], made[1], at


class _Values:
    """The values of a page, in order."""

    def __init__(
        self,
        page: Page,
        data: NDArray[np.uint8],
        at: int,
        named: NDArray[Any] | None,
        physical: np.dtype[Any],
        dtype: np.dtype[Any],
    ) -> None:
        self._data, self._at, self._physical, self._dtype = data, at, physical, dtype
        self._named, self._numbers = named, None
        if page.encoding != _PLAIN:
            if named is None or at > len(data):
                raise BrokenPage("a page names values of a dictionary that is not there")
            width = int(data[at]) if at < len(data) else 0
            self._numbers = Runs(data, min(at + 1, len(data)), len(data), width)

    def take(self, count: int) -> NDArray[Any]:
        if self._numbers is None:
            found = _plain(self._data, self._at, count, self._physical)
            self._at += count * self._physical.itemsize
            return found.astype(self._dtype)
        assert self._named is not None
        numbers = self._numbers.take(count)
        if count and int(numbers.max()) >= len(self._named):
            raise BrokenPage("a page names a value that its dictionary lacks")
        return self._named[numbers]


def _plain(data: NDArray[np.uint8], at: int, count: int, physical: np.dtype[Any]) -> NDArray[Any]:
    end = at + count * physical.itemsize
    if end > len(data):
        raise BrokenPage("a page holds fewer values than it says")
    return data[at:end].view(physical)
