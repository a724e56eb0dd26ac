"""Counts whose footer says something else than their row groups are refused."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from engramctl.counts.ngrams import num_ngrams, read_ngrams
from engramctl.errors import CorpusError

SCHEMA = pa.schema([("token_ids", pa.list_(pa.uint32(), 2)), ("count", pa.uint64())])


def write(folder: Path, rows: int) -> Path:
    path = folder / "order2.parquet"
    table = pa.table([[[n, n] for n in range(rows)], [1] * rows], schema=SCHEMA)
    pq.write_table(table, path)
    return path


def claim(path: Path, rows: int, claimed: int) -> None:
    """Change the number of rows in the footer: a zigzag varint behind the schema."""
    data = path.read_bytes()
    field = bytes([0x16, 2 * rows])  # thrift: the next field but one, an i64
    footer = len(data) - 8 - int.from_bytes(data[-8:-4], "little")
    at = data.index(field, footer)
    path.write_bytes(data[: at + 1] + bytes([2 * claimed]) + data[at + 2 :])
    assert pq.read_metadata(path).num_rows == claimed


@pytest.mark.parametrize("claimed", [0, 2, 4, 60])
def test_a_footer_that_counts_other_rows_is_refused(tmp_path: Path, claimed: int) -> None:
    claim(write(tmp_path, 3), 3, claimed)
    with pytest.raises(CorpusError, match="contradicts itself about its rows"):
        num_ngrams(tmp_path, 2)
    with pytest.raises(CorpusError, match="contradicts itself about its rows"):
        list(read_ngrams(tmp_path, 2))


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_a_footer_that_is_right_is_read(tmp_path: Path, rows: int) -> None:
    write(tmp_path, rows)
    assert num_ngrams(tmp_path, 2) == rows
    assert sum(len(ids) for ids, _ in read_ngrams(tmp_path, 2)) == rows
