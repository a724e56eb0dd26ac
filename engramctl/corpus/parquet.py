"""Parquet files, opened and made; what they say before any data is read: columns, sizes, bounds."""

import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.parquet as pq

from engramctl.errors import CorpusError
from engramctl.sources.file import SourceFile
from engramctl.storage.kinds.recognise import recognise

ID_COLUMNS = ("input_ids", "token_ids")
TEXT_COLUMN = "text"
MAX_ID = 2**32 - 1
RETRIES = 3  # of a remote read that failed; waits double
RETRY_SECONDS = 0.2
# pyarrow's own defaults read ahead through the whole file: memory would grow with the corpus.
_READER = {"pre_buffer": False, "buffer_size": 1 << 20, "page_checksum_verification": True}
_STRINGS = (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)
_BYTES = (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_binary_view)
_LISTS = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
    pa.types.is_list_view,
    pa.types.is_large_list_view,
)
Answer = TypeVar("Answer")


@contextmanager
def reading(file: Path | SourceFile) -> Iterator[None]:
    """Turn what pyarrow raises about a file into a CorpusError that names it."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        place = Path(file.path) if isinstance(file, SourceFile) else file
        remote = isinstance(file, SourceFile) and file.is_remote
        kind = None if remote else recognise(place)
        if kind is not None and kind.name != "Parquet file":
            raise CorpusError(
                f"{file.name} {kind.says}",
                facts={"file": file, "expected": "a Parquet file", "found": kind.name},
                hint=f"{kind.hint}; or let mine leave such files out with --skip-bad-files",
            ) from error
        raise CorpusError(
            f"cannot read {file.name}",
            facts={"file": file, "found": " ".join(str(error).split())[:300]},
            hint="the file is damaged or is not Parquet; write it again, leave it out, or let mine "
            "leave such files out with --skip-bad-files",
        ) from error


@contextmanager
def open_parquet(file: SourceFile) -> Iterator[pq.ParquetFile]:
    """Open a file for reading in bounded memory, wherever it lies and whatever bytes name it."""
    if file.filesystem is None:
        source = pa.OSFile(os.fsencode(file.path))
    else:
        source = file.filesystem.open_input_file(file.path)
    with source, pq.ParquetFile(source, **_READER) as parquet:
        yield parquet


class LocalWriter(pq.ParquetWriter):  # type: ignore[misc]
    """A writer of a file of this machine, whatever bytes name it."""

    def __init__(self, path: Path, schema: pa.Schema, **options: Any) -> None:
        """Make the file; `options` are pyarrow's."""
        self._sink = pa.OSFile(os.fsencode(path), "wb")
        super().__init__(self._sink, schema, **options)

    def close(self) -> None:
        """Write the footer and close the file."""
        try:
            super().close()
        finally:
            self._sink.close()


def iter_columns(
    parquet: pq.ParquetFile, names: Sequence[str], rows: int, groups: Sequence[int] | None = None
) -> Iterator[list[pa.Array]]:
    """Give some columns of one leaf each, in arrays of at most `rows`; of all row groups or some.

    By their leaves, not by name: for pyarrow `a.list` also names what is inside of a list `a`.
    """
    if groups is None:
        groups = range(parquet.num_row_groups)
    leaves = [leaf_of(parquet.schema_arrow, name) for name in names]
    for batch in parquet.reader.iter_batches(rows, row_groups=groups, column_indices=leaves):
        yield [batch.column(name) for name in names]


def leaf_of(schema: pa.Schema, name: str) -> int:
    """Return which leaf of a file a column is that has only one: a list or a plain column.

    Example:
        >>> pair = pa.struct([("x", pa.int32()), ("ids", pa.list_(pa.int32()))])
        >>> leaf_of(pa.schema([("pair", pair), ("ids", pa.list_(pa.int32()))]), "ids")
        2
    """
    return sum(_num_leaves(schema.field(at).type) for at in range(schema.get_field_index(name)))


def _num_leaves(kind: pa.DataType) -> int:
    if isinstance(kind, pa.BaseExtensionType):
        return _num_leaves(kind.storage_type)
    return sum(_num_leaves(kind.field(at).type) for at in range(kind.num_fields)) or 1


def read_footer(file: SourceFile) -> Any:
    """Return the metadata of one file; its schema is known to be readable."""

    def footer() -> Any:
        with open_parquet(file) as parquet:
            parquet.schema_arrow  # noqa: B018  a broken schema raises here
            return parquet.metadata

    with reading(file):
        return _retried(file, footer)


def read_column(
    file: SourceFile, name: str, rows: int, groups: range | None = None
) -> Iterator[pa.Array]:
    """Give a column in arrays of at most `rows`, each once, in order; of all row groups or some.

    A remote read that fails is tried again, from the array that failed.

    Raises:
        CorpusError: the data is broken, or the read fails time after time.
    """
    group = groups.start if groups else 0
    done = attempts = 0
    meta = read_footer(file)
    if not meta.num_rows:
        return
    kind = meta.schema.to_arrow_schema().field(name).type
    if pa.types.is_fixed_size_list(kind) and kind.list_size == 0:  # pyarrow reads no such lists
        chosen = groups or range(meta.num_row_groups)
        left = sum(meta.row_group(number).num_rows for number in chosen)
        for start in range(0, left, rows):
            yield pa.nulls(min(rows, left - start))
        return
    with reading(file):
        while True:
            try:
                with open_parquet(file) as parquet:
                    end = groups.stop if groups else parquet.num_row_groups
                    while group < end:
                        for number, [array] in enumerate(
                            iter_columns(parquet, [name], rows, [group])
                        ):
                            if number == done:
                                yield array
                                done, attempts = done + 1, 0
                        group, done = group + 1, 0
                return
            except OSError as error:
                _wait(file, attempts, error)
                attempts += 1


def _retried(file: SourceFile, action: Callable[[], Answer]) -> Answer:
    attempt = 0
    while True:
        try:
            return action()
        except OSError as error:
            _wait(file, attempt, error)
            attempt += 1


def _wait(file: SourceFile, attempt: int, error: OSError) -> None:
    """Wait before the next attempt, or raise the error where there is none."""
    if not file.is_remote or attempt == RETRIES:
        raise error
    time.sleep(RETRY_SECONDS * 2**attempt)


def choose_column(file: SourceFile, schema: pa.Schema, *, with_text: bool) -> str:
    """Return the column that is read when none is named: text first, where text can be read."""
    wanted = (TEXT_COLUMN, *ID_COLUMNS) if with_text else ID_COLUMNS
    for name in wanted:
        if name in schema.names:
            return name
    if TEXT_COLUMN in schema.names:
        return TEXT_COLUMN  # refused later, with the hint that it needs a tokenizer
    raise CorpusError(
        f"{file.name} has none of the columns {', '.join(wanted)}",
        facts={"file": file, "found": ", ".join(schema.names)},
        hint="name the column with --column",
    )


def why_text(schema: pa.Schema) -> str:
    """Say why `choose_column` took text, where it could be read, and no ids.

    Example:
        >>> why_text(pa.schema({"text": pa.string()}))
        'there is no column of ids (input_ids or token_ids)'
    """
    ids = [name for name in ID_COLUMNS if name in schema.names]
    if not ids:
        return f"there is no column of ids ({' or '.join(ID_COLUMNS)})"
    return f"with --tokenizer text comes first; --column {ids[0]} reads the ids"


def check_column(file: SourceFile, schema: pa.Schema, name: str) -> str | None:
    """Return "ids" or "text", None for nulls alone; or raise about the column of this file."""
    if schema.names.count(name) != 1:
        raise CorpusError(
            f"{file.name} has {'no' if name not in schema.names else 'more than one'} "
            f"column '{name}'",
            facts={"file": file, "found": ", ".join(schema.names)},
            hint="name another column with --column",
        )
    kind = _plain(schema.field(name).type)
    types = pa.types
    if types.is_null(kind):
        return None
    if _is_list(kind):
        value = _plain(kind.value_type)
        if types.is_integer(value) or types.is_null(value):
            return "ids"
    elif any(test(kind) for test in (*_STRINGS, *_BYTES)):
        return "text"
    raise CorpusError(
        f"column '{name}' of {file.name} cannot be mined",
        facts={"file": file, "expected": "a list of integers, or a string", "found": str(kind)},
        hint="name another column with --column, or let mine leave such files out with "
        "--skip-bad-files",
    )


def _plain(kind: pa.DataType) -> pa.DataType:
    """Return what a type holds: of an extension its storage, of a dictionary its values."""
    if isinstance(kind, pa.BaseExtensionType):
        return _plain(kind.storage_type)
    return _plain(kind.value_type) if pa.types.is_dictionary(kind) else kind


def id_bits(schema: pa.Schema, name: str) -> int | None:
    """Return the bits of the integers in a column of lists; None where there are none."""
    kind = _plain(schema.field(name).type) if name in schema.names else pa.null()
    value = _plain(kind.value_type) if _is_list(kind) else kind
    return int(value.bit_width) if pa.types.is_integer(value) else None


def _is_list(kind: pa.DataType) -> bool:
    return any(test(kind) for test in _LISTS)


def _chunks(meta: Any, name: str) -> Iterator[Any]:
    """Give a column's chunks, one a row group; a file without rows need not have the column."""
    if not meta.num_rows:
        return
    leaf = leaf_of(meta.schema.to_arrow_schema(), name)
    for group in range(meta.num_row_groups):
        yield meta.row_group(group).column(leaf)


def column_size(meta: Any, name: str, *, is_text: bool) -> int:
    """Estimate tokens: list elements from the footer, or a quarter of the text's bytes."""
    chunks = _chunks(meta, name)
    if is_text:
        return int(sum(chunk.total_uncompressed_size for chunk in chunks)) // 4
    return int(sum(chunk.num_values for chunk in chunks))


def largest_id(metas: Iterable[Any], name: str) -> int | None:
    """Return the largest id by the column statistics, or None where a file has none."""
    largest = 0
    for meta in metas:
        for chunk in _chunks(meta, name):
            stats = chunk.statistics if chunk.is_stats_set else None
            if stats is not None and stats.has_min_max:
                largest = max(largest, int(stats.max))
            elif stats is None or stats.null_count != chunk.num_values:
                return None
    return min(largest, MAX_ID)
