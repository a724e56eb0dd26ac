"""`curves.parquet`: one row a point of a curve."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from engramctl.corpus.parquet import LocalWriter

SCHEMA = pa.schema(
    [
        pa.field("order", pa.uint8(), nullable=False),  # 0: all orders in one cache
        pa.field("policy", pa.string(), nullable=False),
        pa.field("interleave", pa.uint32(), nullable=False),
        pa.field("held_out", pa.string()),  # null: the documents that were mined
        pa.field("cache_rows", pa.uint64(), nullable=False),
        pa.field("hit_rate", pa.float64(), nullable=False),
    ]
)


def write_curves(path: Path, curves: Iterable[Mapping[str, Any]]) -> None:
    """Write curves in their order; the same curves give the same bytes."""
    rows = [
        {name: curve[name] for name in ("order", "policy", "interleave", "held_out")}
        | {"cache_rows": size, "hit_rate": rate}
        for curve in curves
        for size, rate in zip(curve["cache_rows"], curve["hit_rate"], strict=True)
    ]
    with LocalWriter(path, SCHEMA, compression="zstd") as writer:
        writer.write_table(pa.Table.from_pylist(rows, SCHEMA))
