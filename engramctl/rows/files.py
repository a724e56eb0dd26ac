"""Row ids at rest: JSON lines or Parquet out, JSON lines of any engine in.

A line is `{"rows": {"1": [[..H..], ..T..], "14": ..}}`: for each layer one list a position, one
row id a head. Parquet has one column a layer, `layer01`: list<fixed_size_list<int64>[H]>.
"""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import CorpusError
from engramctl.rows.sequences import parse_line
from engramctl.storage.files.atomic import os_errors
from engramctl.storage.files.output_file import BEGINNING_BYTES, output_file, written_whole

LayerRows = Mapping[int, NDArray[Any]]
_BEGINS = re.compile(rb'\s*\{\s*"rows"\s*:')
_COLUMN = re.compile(r"layer\d{2,}")
_BUFFERED_IDS = 1 << 21  # row ids kept before a Parquet row group is written: 16 MiB


class LineSink(Protocol):
    """Where lines go: an open text file."""

    def write(self, text: str, /) -> object:
        """Take one line."""


def as_document(rows: LayerRows) -> dict[str, Any]:
    """Return one line's document; layer -> integers (T, H)."""
    return {"rows": {str(layer): ids.tolist() for layer, ids in rows.items()}}


def write_line(rows: LayerRows, file: LineSink) -> None:
    """Write one sequence as one line of JSON."""
    file.write(json.dumps(as_document(rows), separators=(",", ":")) + "\n")


def write_parquet(sequences: Iterable[LayerRows], path: Path, heads: Mapping[int, int]) -> None:
    """Write sequences to a Parquet file, a row each, in bounded memory.

    Args:
        sequences: layer -> row ids (T, H) of every sequence.
        path: the file to make.
        heads: H of every layer.
    """
    import pyarrow as pa

    from engramctl.corpus.parquet import LocalWriter

    kinds = {layer: pa.list_(pa.list_(pa.int64(), num)) for layer, num in heads.items()}
    schema = pa.schema([(f"layer{layer:02d}", kind) for layer, kind in kinds.items()])

    def flush(waiting: list[LayerRows]) -> None:
        lengths = [len(next(iter(rows.values()))) for rows in waiting]
        offsets = pa.array(np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32))
        columns = []
        for layer, kind in kinds.items():
            flat = np.concatenate([rows[layer].astype(np.int64).reshape(-1) for rows in waiting])
            lists = pa.FixedSizeListArray.from_arrays(pa.array(flat), type=kind.value_type)
            columns.append(pa.ListArray.from_arrays(offsets, lists, type=kind))
        writer.write_batch(pa.record_batch(columns, schema=schema))

    with LocalWriter(path, schema, compression="zstd") as writer:
        waiting: list[LayerRows] = []
        size = 0
        for rows in sequences:
            waiting.append(rows)
            size += sum(ids.size for ids in rows.values())
            if size >= _BUFFERED_IDS:
                flush(waiting)
                waiting, size = [], 0
        if waiting:
            flush(waiting)


def write_file(
    sequences: Iterable[LayerRows], out: Path, heads: Mapping[int, int], *, force: bool
) -> dict[str, int]:
    """Write `out`, Parquet by its suffix, else JSON lines; it appears when it is whole.

    Args:
        sequences: layer -> row ids (T, H) of every sequence.
        out: the file to make.
        heads: H of every layer.
        force: replace an existing file.

    Returns:
        How many `sequences` and `positions` were written.

    Raises:
        ConfigError: `out` exists, and is no such file or may not be replaced.
        StorageError: it cannot be written.
    """
    target = output_file(out, force=force, what="a file of row ids", is_ours=_is_row_ids)
    totals = {"sequences": 0, "positions": 0}

    def counted() -> Iterator[LayerRows]:
        for rows in sequences:
            totals["sequences"] += 1
            totals["positions"] += len(next(iter(rows.values())))
            yield rows

    with os_errors("write", out), written_whole(target) as path:
        if out.suffix == ".parquet":
            write_parquet(counted(), path, heads)
        else:
            with path.open("w", encoding="ascii") as file:
                for rows in counted():
                    write_line(rows, file)
    return totals


def _is_row_ids(path: Path) -> bool:
    """Tell whether a file begins as those of `write_file` do; a cut one of lines does too."""
    import pyarrow as pa

    from engramctl.corpus.parquet import open_parquet
    from engramctl.sources.file import SourceFile

    with path.open("rb") as file:
        if _BEGINS.match(file.read(BEGINNING_BYTES)):
            return True
    try:
        with open_parquet(SourceFile.local(path)) as parquet:
            names = parquet.schema_arrow.names
    except (pa.ArrowException, OSError):
        return False
    return bool(names) and all(_COLUMN.fullmatch(name) for name in names)


def read_lines(lines: Iterable[bytes], name: str) -> Iterator[dict[int, NDArray[np.int64]]]:
    """Read row ids another engine wrote; empty lines are left out.

    Yields:
        layer -> int64 (T, H), H being what the line has; (0, 0) without positions.

    Raises:
        CorpusError: broken JSON or another shape; names the line.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"line {number:,}"
        record = parse_line(line, name, place)
        rows = record.get("rows") if isinstance(record, dict) else None
        if not isinstance(rows, dict):
            raise _refuse(name, place, "no object 'rows'")
        parsed = {}
        for layer, values in rows.items():
            if not (layer.isascii() and layer.isdigit() and len(layer) < 10):
                raise _refuse(name, place, f"the layer {ascii(layer)[:40]}")
            parsed[int(layer)] = _integers(values, name, f"{place}, layer {layer}")
        yield parsed


def _integers(values: object, name: str, place: str) -> NDArray[np.int64]:
    if values == []:
        return np.empty((0, 0), np.int64)
    try:
        array = np.array(values)
    except (ValueError, OverflowError):
        raise _refuse(name, place, "positions with different numbers of heads") from None
    if array.ndim != 2 or array.dtype.kind != "i":
        raise _refuse(name, place, "values that are not 64-bit integers, [positions][heads]")
    return array.astype(np.int64, copy=False)


def _refuse(name: str, place: str, found: str) -> CorpusError:
    return CorpusError(
        f"{name}, {place}: not row ids",
        facts={"expected": '{"rows": {"1": [[7, 19], [3, 11]]}}', "found": found},
        hint="write one line a sequence, as engramctl rows does",
    )
