"""The rows that a corpus reads most, of a counts folder that was mined with a scheme."""

from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engramctl.corpus.parquet import iter_columns, open_parquet, reading
from engramctl.counts.manifest import counts_digest, read_counts_manifest
from engramctl.errors import ConfigError, CorpusError, FormatError
from engramctl.hashing import lookup_from_dict
from engramctl.sources.file import SourceFile

_BATCH_ROWS = 1 << 17
_COLUMNS = {"row_id": pa.uint32(), "count": pa.uint64()}


def access_name(layer: int) -> str:
    """Return the name of a layer's file.

    Example:
        >>> access_name(1)
        'access.layer01.parquet'
    """
    return f"access.layer{layer:02d}.parquet"


class Accesses:
    """How often each row of a table is read, by a counts folder.

    Attributes:
        counts: the folder.
        digest: xxh3-128 of its manifest.
    """

    def __init__(self, counts: Path, num_rows: Mapping[int, int]) -> None:
        """Look whether the folder counts the rows of such a table.

        Args:
            counts: a folder that `engramctl mine --scheme` made.
            num_rows: layer -> rows of the table.

        Raises:
            ConfigError: it counts no rows, or those of a table of another shape.
            FormatError: not a finished counts folder, or one that contradicts itself.
        """
        self.counts, self._num_rows = counts, dict(num_rows)
        self.digest = counts_digest(counts)
        document = read_counts_manifest(counts).get("scheme")
        hint = "count them: engramctl mine CORPUS --scheme TABLE -o counts, with the table's folder"
        if document is None:
            raise ConfigError(f"{counts} does not say which rows are read", hint=hint)
        try:
            scheme = lookup_from_dict(document)
        except (ConfigError, TypeError, AttributeError) as error:
            raise FormatError(
                f"the scheme in the manifest of {counts} cannot be used",
                facts={"found": str(error)[:200]},
                hint=f"run: engramctl verify {counts}",
            ) from error
        found = {layer: scheme.num_rows(layer) for layer in scheme.layers}
        if found != self._num_rows:
            raise ConfigError(
                f"{counts} counts the rows of another table",
                facts={"expected": _shape(self._num_rows), "found": _shape(found)},
                hint=hint,
            )
        for layer in self._num_rows:
            if not (counts / access_name(layer)).is_file():
                raise FormatError(
                    f"{counts} lacks {access_name(layer)}",
                    hint=f"run: engramctl verify {counts}",
                )

    def most_read(self, most: int) -> dict[int, NDArray[np.int64]]:
        """Return the rows that are read most, of all layers together.

        The files are read once, part by part; memory is that of twice the result and a part.

        Args:
            most: how many at most, above 0.

        Returns:
            layer -> row ids, int64 (n,), the most read first, of equally often read ones the
            smallest.

        Raises:
            CorpusError: a broken file, other columns than it must have, or rows that do not ascend
                or lie outside the table.
        """
        best = _Best(most)
        for layer in self._num_rows:
            for row_ids, counts in self._read(layer):
                best.add(layer, row_ids, counts)
        return {layer: best.rows_of(layer) for layer in self._num_rows}

    def _read(self, layer: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint64]]]:
        file = self.counts / access_name(layer)
        last = -1
        with reading(file), open_parquet(SourceFile.local(file)) as parquet:
            _check_columns(parquet.schema_arrow, file)
            for ids, counts in iter_columns(parquet, list(_COLUMNS), _BATCH_ROWS):
                if ids.null_count or counts.null_count:
                    raise _broken(file, "a row and a count in every line", "lines without")
                row_ids = ids.to_numpy().astype(np.int64)
                if not len(row_ids):
                    continue
                if row_ids[0] <= last or np.any(np.diff(row_ids) <= 0):
                    raise _broken(file, "row ids that ascend", "some that do not")
                last = int(row_ids[-1])
                if last >= self._num_rows[layer]:
                    raise _broken(
                        file, f"row ids below {self._num_rows[layer]:,}", f"row id {last:,}"
                    )
                yield row_ids, counts.to_numpy()


class _Best:
    """The lines of the highest counts so far, of equal ones those that came first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._least = 0  # counts up to this are no longer among them
        self._layers: list[NDArray[np.int32]] = []
        self._rows: list[NDArray[np.int64]] = []
        self._counts: list[NDArray[np.uint64]] = []

    def add(self, layer: int, row_ids: NDArray[np.int64], counts: NDArray[np.uint64]) -> None:
        """Take lines in."""
        high = counts > self._least
        self._rows.append(row_ids[high])
        self._counts.append(counts[high])
        self._layers.append(np.full(len(self._rows[-1]), layer, np.int32))
        if sum(map(len, self._rows)) >= 2 * max(self._most, _BATCH_ROWS):
            self._settle()

    def _settle(self) -> None:
        """Drop what is not among the best, and put the rest in order."""
        counts = np.concatenate([np.empty(0, np.uint64), *self._counts])
        order = np.argsort(~counts, kind="stable")[: self._most]
        self._counts = [counts[order]]
        self._rows = [np.concatenate([np.empty(0, np.int64), *self._rows])[order]]
        self._layers = [np.concatenate([np.empty(0, np.int32), *self._layers])[order]]
        if len(order) == self._most:
            self._least = int(self._counts[0][-1])

    def rows_of(self, layer: int) -> NDArray[np.int64]:
        """Return the rows of a layer that are among the best, the best first."""
        self._settle()
        found: NDArray[np.int64] = self._rows[0][self._layers[0] == layer]
        return found


def _check_columns(schema: pa.Schema, file: Path) -> None:
    wanted, found = list(_COLUMNS.items()), [(field.name, field.type) for field in schema]
    if found != wanted:
        shown = [", ".join(f"{name} {kind}" for name, kind in one) for one in (wanted, found)]
        raise _broken(file, shown[0], shown[1][:300])


def _broken(file: Path, expected: str, found: str) -> CorpusError:
    return CorpusError(
        f"{file.name} does not count the rows of a table",
        facts={"file": file, "expected": expected, "found": found},
        hint="make the folder again: engramctl mine ... --force",
    )


def _shape(num_rows: Mapping[int, int]) -> str:
    return ", ".join(f"layer {layer}: {rows:,} rows" for layer, rows in num_rows.items())
