"""How rows rest in files and are read again: open, verify, serve.

`open_table` opens a finished folder, `verify` checks its every byte, `open_store` serves its rows
from a GPU, host memory or an SSD. Knows no hashing: a scheme is to it an opaque document. Names are
imported when they are first used.
"""

from typing import TYPE_CHECKING

from engramctl.errors import EngramError
from engramctl.runtime.lazy_names import lazy_names

if TYPE_CHECKING:
    from engramctl.storage.io.bus_errors import catch_bus_errors
    from engramctl.storage.reading.table import TableFiles, open_table
    from engramctl.storage.record_log.self_filled import SelfFilled
    from engramctl.storage.requests.slot import Slot
    from engramctl.storage.requests.stats import StoreStats
    from engramctl.storage.requests.ticket import Ticket
    from engramctl.storage.tiers.door import open_store
    from engramctl.storage.tiers.store import Store
    from engramctl.storage.verifying.integrity import VerifyReport, verify
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "io.bus_errors": ("catch_bus_errors",),
            "reading.table": ("TableFiles", "open_table"),
            "record_log.self_filled": ("SelfFilled",),
            "tiers.door": ("open_store",),
            "requests.slot": ("Slot",),
            "requests.stats": ("StoreStats",),
            "tiers.store": ("Store",),
            "requests.ticket": ("Ticket",),
            "verifying.integrity": ("VerifyReport", "verify"),
        },
    )

__all__ = [
    "EngramError",
    "SelfFilled",
    "Slot",
    "Store",
    "StoreStats",
    "TableFiles",
    "Ticket",
    "VerifyReport",
    "catch_bus_errors",
    "open_store",
    "open_table",
    "verify",
]
