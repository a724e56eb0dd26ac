"""What a store has done since it was opened."""

from dataclasses import asdict, dataclass, field
from typing import Any


@dataclass
class StoreStats:
    """What a store has done since it was opened.

    Attributes:
        rows_asked: row ids in all requests.
        rows_unique: distinct row ids, request by request and layer by layer.
        rows_by_tier: distinct rows each tier served.
        device_reads: reads asked of the disk: runs of pages the store had not touched before. The
            page cache may have served some of them.
        device_bytes: bytes of those pages.
        stall_ns: time `wait` spent until its rows were ready.
    """

    rows_asked: int = 0
    rows_unique: int = 0
    rows_by_tier: dict[str, int] = field(default_factory=dict)
    device_reads: int = 0
    device_bytes: int = 0
    stall_ns: int = 0

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)
