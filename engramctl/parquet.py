"""What Parquet files say before any data is read: their names, columns, sizes and bounds."""

import glob
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from engramctl.errors import CorpusError

ID_COLUMNS = ("input_ids", "token_ids")
TEXT_COLUMN = "text"
MAX_ID = 2**32 - 1


def find_files(paths: Iterable[str | Path]) -> list[Path]:
    """Return the Parquet files that files, folders and glob patterns name, each once.

    Raises:
        CorpusError: a name that matches nothing.
    """
    found: dict[Path, Path] = {}
    for name in paths:
        path = Path(name)
        if path.is_dir():
            matches = sorted(file for file in path.rglob("*.parquet") if file.is_file())
        elif path.exists():
            matches = [path]
        else:
            hits = sorted(glob.glob(str(name), recursive=True))
            matches = [Path(hit) for hit in hits if Path(hit).is_file()]
        if not matches:
            raise CorpusError(
                f"no Parquet files in {name}" if path.is_dir() else f"no file matches {name}",
                hint="name Parquet files, folders with *.parquet files, or quoted glob patterns",
            )
        for file in matches:
            found.setdefault(file.resolve(), file)
    return list(found.values())


@contextmanager
def reading(file: Path) -> Iterator[None]:
    """Turn what pyarrow raises about a file into a CorpusError that names it."""
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeDecodeError) as error:
        raise CorpusError(
            f"cannot read {file.name}",
            facts={"file": file, "found": " ".join(str(error).split())[:300]},
            hint="the file is damaged or is not Parquet; write it again or leave it out",
        ) from error


def read_footer(file: Path) -> Any:
    """Return the metadata of one file; its schema is known to be readable."""
    with reading(file), pq.ParquetFile(file) as parquet:
        parquet.schema_arrow  # noqa: B018  a broken schema raises here
        return parquet.metadata


def choose_column(file: Path, schema: pa.Schema, *, with_text: bool) -> str:
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


def check_column(file: Path, schema: pa.Schema, name: str) -> str:
    """Return "ids" or "text", or raise about the column of this file."""
    if schema.names.count(name) != 1:
        raise CorpusError(
            f"{file.name} has {'no' if name not in schema.names else 'more than one'} "
            f"column '{name}'",
            facts={"file": file, "found": ", ".join(schema.names)},
            hint="name another column with --column",
        )
    kind = schema.field(name).type
    if _is_list(kind) and pa.types.is_integer(kind.value_type):
        return "ids"
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return "text"
    raise CorpusError(
        f"column '{name}' of {file.name} cannot be mined",
        facts={"file": file, "expected": "a list of integers, or a string", "found": str(kind)},
        hint="name another column with --column",
    )


def _is_list(kind: pa.DataType) -> bool:
    types = pa.types
    return bool(types.is_list(kind) or types.is_large_list(kind) or types.is_fixed_size_list(kind))


def _leaves(meta: Any, name: str) -> Iterator[Any]:
    """Give the column chunks of one top-level column, a row group at a time."""
    for group in range(meta.num_row_groups):
        for index in range(meta.num_columns):
            chunk = meta.row_group(group).column(index)
            if chunk.path_in_schema == name or chunk.path_in_schema.startswith(name + "."):
                yield chunk


def column_size(meta: Any, name: str, *, is_text: bool) -> int:
    """Estimate tokens: list elements from the footer, or a quarter of the text's bytes."""
    leaves = _leaves(meta, name)
    if is_text:
        return int(sum(chunk.total_uncompressed_size for chunk in leaves)) // 4
    return int(sum(chunk.num_values for chunk in leaves))


def largest_id(metas: Iterable[Any], name: str) -> int | None:
    """Return the largest id by the column statistics, or None where a file has none."""
    largest = 0
    for meta in metas:
        for chunk in _leaves(meta, name):
            stats = chunk.statistics if chunk.is_stats_set else None
            if stats is not None and stats.has_min_max:
                largest = max(largest, int(stats.max))
            elif stats is None or stats.null_count != chunk.num_values:
                return None
    return min(largest, MAX_ID)
