"""Row ids at rest: JSON lines or Parquet out, JSON lines of any engine in.

A line is `{"rows": {"1": [[..H..], ..T..], "14": ..}}`: for each layer one list a position, one
row id a head. Parquet has one column a layer, `layer01`: list<fixed_size_list<int64>[H]>.
"""

import json
import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import ConfigError, CorpusError
from engramctl.rows.sequences import parse_line
from engramctl.storage.atomic import os_errors, sync

LayerRows = Mapping[int, NDArray[Any]]
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

    from engramctl.parquet import LocalWriter

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
        ConfigError: `out` exists.
        StorageError: it cannot be written.
    """
    if out.is_dir() or (out.exists() and not force):
        raise ConfigError(
            f"{out} already exists",
            hint="name another file" if out.is_dir() else "replace it with --force",
        )
    totals = {"sequences": 0, "positions": 0}

    def counted() -> Iterator[LayerRows]:
        for rows in sequences:
            totals["sequences"] += 1
            totals["positions"] += len(next(iter(rows.values())))
            yield rows

    partial = out.with_name(out.name + ".partial")
    try:
        with os_errors("write", out):
            if out.suffix == ".parquet":
                write_parquet(counted(), partial, heads)
            else:
                with partial.open("w", encoding="ascii") as file:
                    for rows in counted():
                        write_line(rows, file)
            sync(partial)
            os.replace(partial, out)
    finally:
        partial.unlink(missing_ok=True)
    return totals


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
