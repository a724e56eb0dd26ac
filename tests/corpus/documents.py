"""Parquet files made and read again, document by document."""

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from engramctl.corpus.corpus import Corpus


def write(path: Path, **columns: Any) -> Path:
    pq.write_table(pa.table(columns), path)
    return path


def documents(corpus: Corpus) -> list[list[int]]:
    found = []
    for batch in corpus.batches():
        assert batch.ids.dtype == np.uint32
        assert batch.offsets.dtype == np.int64
        found += [part.tolist() for part in np.split(batch.ids, batch.offsets[1:-1])]
    return found
