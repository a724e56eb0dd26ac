"""What `inspect` says of a dictionary that a store fills: its geometry, and what it holds."""

from pathlib import Path
from typing import Any

from engramctl.storage.record_log.read_log import opened_log


def describe_log(path: Path) -> dict[str, Any]:
    """Return what an n-gram log is, as a JSON document; a store may fill it at the same time.

    Only segments that are not full are read through; the entries of full ones are believed to be
    what their footers say.

    Raises:
        FormatError: its header is damaged.
        StorageError: it cannot be read.
    """
    with opened_log(path) as log:
        found = log.log_format
        used = [(one.sequence, len(one.heads), one.sealed) for one in log.segments()]
        return {
            "path": str(path),
            "kind": "n-gram log",
            "table_xxh3_128": found.table_xxh3_128,
            "num_orders": found.num_orders,
            "key_bits": found.key_bits,
            "record_bytes": found.record_bytes,
            "segments": found.num_segments,
            "segment_bytes": found.segment_bytes,
            "records_per_segment": found.entries_per_segment,
            "max_records": found.max_records,
            "records": sum(records for _, records, _ in used),
            "segments_in_use": len(used),
            "full_segments": sum(sealed for *_, sealed in used),
            "oldest_segment": used[0][0] if used else None,
            "newest_segment": used[-1][0] if used else None,
            "file_bytes": log.file_bytes,
            "bytes_on_disk": log.bytes_on_disk,
        }
