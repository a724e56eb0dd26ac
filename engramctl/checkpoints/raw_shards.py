"""Per-shard raw files with a sidecar: `engram_v<first>_<stop>_r<shard>.weight.bin`, `.scale.bin`.

The names are those of vLLM's disk offload; its sidecar's keys are not public, so `.done.json` has
ours: layer, num_rows, rows, dtype, row_dim, table_scale.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engramctl.errors import ConfigError, FormatError
from engramctl.storage.files.atomic import os_errors
from engramctl.storage.files.strict_json import load_strict, read_limited
from engramctl.storage.reading.region import Region
from engramctl.storage.reading.source import CheckpointTables
from engramctl.storage.record.record import RecordSpec

DONE = ".done.json"
KEYS = ("layer", "num_rows", "rows", "dtype", "row_dim", "table_scale")
_NAME = re.compile(r"(engram_v\d+_\d+_r\d+)\.done\.json")
MAX_SIDECAR_BYTES = 1 << 20


def raw_name(row_start: int, row_stop: int, shard: int) -> str:
    """Return the common beginning of a shard's files.

    Example:
        >>> raw_name(0, 96000564, 0)
        'engram_v0_96000564_r0'
    """
    return f"engram_v{row_start}_{row_stop}_r{shard}"


@dataclass(frozen=True)
class Sidecar:
    """What a shard's `.done.json` says."""

    stem: str
    layer: int
    num_rows: int
    rows: tuple[int, int]
    record: RecordSpec
    table_scale: float | None


def raw_tables(folder: Path) -> CheckpointTables:
    """Return the tables of a folder of raw shards.

    Raises:
        FormatError: a sidecar or a size is wrong, a row is missing or there twice.
    """
    sidecars = [_read(path) for path in sorted(folder.rglob("*" + DONE))]
    regions: dict[int, list[Region]] = defaultdict(list)
    for one in sidecars:
        if one.record != sidecars[0].record:
            raise FormatError(f"{one.stem} is stored unlike the others", facts={"file": one.stem})
        columns = [("weight", 0, one.record.weight_bytes)]
        if one.record.scale_bytes:
            columns.append(("scale", one.record.weight_bytes, one.record.scale_bytes))
        for part, column, width in columns:
            path = Path(f"{one.stem}.{part}.bin")
            wanted = (one.rows[1] - one.rows[0]) * width
            with os_errors("read", path):
                found = path.stat().st_size
            if found != wanted:
                raise FormatError(
                    f"{path.name} has the wrong size",
                    facts={
                        "file": path,
                        "expected": f"{wanted:,} bytes",
                        "found": f"{found:,} bytes",
                    },
                    hint="the engine was stopped while it wrote; remove the file and its sidecar",
                )
            regions[one.layer].append(Region(path, column, width, *one.rows, 0, 1, width))
    tables = {
        layer: tuple(sorted(found, key=lambda region: (region.column, region.row_start)))
        for layer, found in sorted(regions.items())
    }
    scales: Mapping[int, float | None] = {one.layer: one.table_scale for one in sidecars}
    for one in sidecars:
        if tables[one.layer][-1].row_stop != one.num_rows or scales[one.layer] != one.table_scale:
            raise FormatError(
                f"shards of layer {one.layer} are missing or do not belong together",
                facts={
                    "expected": f"{one.num_rows:,} rows",
                    "found": f"{tables[one.layer][-1].row_stop:,} rows",
                },
            )
    return CheckpointTables(folder, sidecars[0].record, tables, scales)


def _read(path: Path) -> Sidecar:
    match = _NAME.fullmatch(path.name)
    text = read_limited(path, MAX_SIDECAR_BYTES)
    try:
        document: dict[str, Any] = load_strict(text)
        if match is None or set(document) != set(KEYS):
            raise ValueError("other keys")
        numbers = [document["layer"], document["num_rows"], *document["rows"], document["row_dim"]]
        if len(numbers) != 5 or any(type(one) is not int or one < 0 for one in numbers):
            raise ValueError("numbers")
        layer, num_rows, start, stop, row_dim = numbers
        scale = document["table_scale"]
        if not start < stop <= num_rows or not (scale is None or 0 < float(scale) < 2**128):
            raise ValueError("rows or scale")
        record = RecordSpec(str(document["dtype"]), row_dim)
    except (ValueError, LookupError, TypeError, OverflowError, ConfigError) as error:
        raise FormatError(
            f"{path.name} is no sidecar of a raw shard",
            facts={"file": path, "expected": ", ".join(KEYS), "found": ascii(text[:200])},
        ) from error
    stem = str(path)[: -len(DONE)]
    factor = None if scale is None else float(scale)
    return Sidecar(stem, layer, num_rows, (start, stop), record, factor)
