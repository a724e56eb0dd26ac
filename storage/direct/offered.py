"""N-grams whose rows a ticket had to fetch, offered to the dictionary that traffic fills."""

from functools import partial

import numpy as np
from numpy.typing import NDArray

from engramctl.storage.cache.ngram_records import LEAST_MISSED, RecordShape
from engramctl.storage.cache.record_lookups import copy_to_records
from engramctl.storage.direct.fetch import Fetch
from engramctl.storage.direct.page_reads import PageReads
from engramctl.storage.record_log.filling import Filling


class Offers:
    """Hands n-grams over whose rows, of all layers, still stand in a ticket's memory."""

    def __init__(self, reads: PageReads, shape: RecordShape, filling: Filling) -> None:
        """Hold what knows where rows stand, and who takes them."""
        self._reads, self._shape, self._filling = reads, shape, filling

    def tokens(self, num_ngrams: int) -> None:
        """Count positions that were asked for."""
        self._filling.tokens(num_ngrams // self._shape.num_orders)

    def offer(self, fetch: Fetch) -> None:
        """Offer the n-grams of a ticket that no record served; all its rows have come."""
        recorded = fetch.recorded
        if recorded is None or recorded.spoiled or set(fetch.parted) != set(self._shape.layers):
            return
        fetched = recorded.missed_G >= LEAST_MISSED
        if recorded.chosen is not None:
            fetched &= recorded.chosen.entry_G < 0
        ngrams = np.flatnonzero(fetched)
        if not len(ngrams):
            return
        orders, keys = ngrams % self._shape.num_orders, recorded.keys_G2[ngrams]
        self._filling.offer(orders, keys, partial(self._records, fetch, ngrams))

    def _records(
        self, fetch: Fetch, ngrams: NDArray[np.int64], chosen: NDArray[np.int64]
    ) -> NDArray[np.uint8]:
        """Put the rows of ngrams[chosen] together, uint8 (n, record_bytes)."""
        ngrams = ngrams[chosen]
        assert fetch.recorded is not None
        place_G = np.full(len(fetch.recorded.missed_G), -1, np.int64)
        place_G[ngrams] = np.arange(len(ngrams))
        records = np.empty((len(ngrams), self._shape.record_bytes), np.uint8)
        low = fetch.slab.address
        copied = 0
        for layer in fetch.parted:
            for targets, where_N2 in fetch.come(layer):
                copied += copy_to_records(
                    targets, where_N2, self._shape.packed(layer), place_G, self._reads.sizes, low,
                    low + fetch.slab.memory.nbytes, records,
                )  # fmt: skip
        if copied * self._shape.row_bytes != records.nbytes:
            raise IndexError("a row of a new record was not read")
        return records
