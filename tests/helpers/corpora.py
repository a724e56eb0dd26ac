"""Corpora made on the spot."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

Documents = Sequence[Sequence[int] | None]


def write_ids(path: Path, documents: Documents, kind: Any = None, **options: Any) -> Path:
    """Write a Parquet file with one column `input_ids`."""
    column = pa.array(documents, kind or pa.list_(pa.uint32()))
    pq.write_table(pa.table({"input_ids": column}), path, **options)
    return path


def read_rows(counts: Path, order: int) -> list[tuple[tuple[int, ...], int]]:
    """Return the rows of one file of a counts directory as they stand."""
    table = pq.read_table(counts / f"order{order}.parquet")
    ids = table["token_ids"].combine_chunks().flatten().to_numpy().reshape(-1, order)
    times = table["count"].to_numpy()
    return [(tuple(row), count) for row, count in zip(ids.tolist(), times.tolist(), strict=True)]


def file_bytes(counts: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in sorted(counts.iterdir())}


def zipf_documents(seed: int, tokens: int, vocabulary: int) -> list[list[int]]:
    """Documents whose ids repeat as words do, the largest id among them."""
    random = np.random.default_rng(seed)
    ids = np.minimum(random.zipf(1.3, tokens), vocabulary) - 1
    ids[tokens // 2] = vocabulary - 1
    cuts = np.sort(random.integers(0, tokens, tokens // 50))
    return [part.tolist() for part in np.split(ids, cuts)]
