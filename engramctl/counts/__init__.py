"""A counts folder, read: what it says, its n-grams, how a scheme sees them.

`warm_from_counts` fills a store's row caches with the rows that it counts most.
"""

from typing import TYPE_CHECKING

from engramctl.runtime.lazy_names import lazy_names

if TYPE_CHECKING:
    from engramctl.counts.warm import warm_from_counts
else:
    __getattr__, __dir__ = lazy_names(
        __name__, {"warm_from_counts": "engramctl.counts.warm"}
    )  # fmt: skip

__all__ = ["warm_from_counts"]
