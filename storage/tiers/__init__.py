"""Where rows live at lookup: the same few verbs for gpu, host and ssd.

`open_store` is the door; DESIGN.md section 4 (Tier) is the contract.
"""

from engramctl.storage.tiers.door import open_store
from engramctl.storage.tiers.store import Store, StoreStats
from engramctl.storage.tiers.ticket import Ticket

__all__ = ["Store", "StoreStats", "Ticket", "open_store"]
