"""What is learnt from the documents that are mined, and how each part does with it.

Blocks are read one at a time. What follows the traces of a block works beside each other, each on
its own state and block after block, so that no result depends on threads.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.caches.best_fixed import RowCounts
from engramctl.caches.static import StaticRows
from engramctl.reuse.dictionary import Dictionary
from engramctl.reuse.documents import Part, Reader
from engramctl.reuse.interleave import Block
from engramctl.reuse.options import ReuseOptions, best_fixed_rate, cache_sizes, ngram_rate
from engramctl.reuse.traces import StreamTrace
from engramctl.storage.record.record import RecordSpec

SCHEMA = "engramctl.reuse/1"
Progress = Callable[[str, int | None, str], AbstractContextManager[Callable[[int], None]]]
Curves = Mapping[int, float]


class Study:
    """Parts are added one after the other, the mined one first; `document` tells all."""

    def __init__(self, reader: Reader, options: ReuseOptions, tokens: int) -> None:
        """Begin; `tokens` is about how many the mined documents have."""
        self.curves: list[dict[str, Any]] = []
        self._reader = reader
        self._options = options
        self._tokens = tokens
        self._parts: list[dict[str, Any]] = []
        self._unique: list[dict[str, Any]] = []
        self._served: list[dict[str, Any]] = []
        self._static = StaticRows(
            [start for start, _ in reader.spans],
            reader.rows,
            [cache_sizes(rows) for rows in reader.rows],
            cache_sizes(sum(reader.rows)),
        )
        self._dictionary = Dictionary(
            reader.scheme.orders,
            options.dictionary_sizes,
            ngram_rate(reader, tokens),
            options.max_tokens_per_file,
        )

    def mine(self, part: Part, pool: ThreadPoolExecutor, show: Progress) -> None:
        """Read the documents that static rows and dictionaries are made of."""
        traces = self._traces(self._tokens, None)
        for file, block in self._blocks(part, show):
            rows = block.rows.astype(np.int64)
            _all(
                pool,
                *(partial(trace.add, block) for trace in traces),
                partial(self._static.add, rows),
                partial(self._dictionary.add, file, block),
            )
        _all(pool, *(trace.finish for trace in traces))
        served = self._static.rank()
        self._dictionary.rank()
        for trace in traces:
            static = _rates(served, trace)
            self._add(part.name, trace, static, static, best_sampled=1.0, chance=None)

    def evaluate(self, part: Part, tokens: int, pool: ThreadPoolExecutor, show: Progress) -> None:
        """Read documents that nothing was made of; `tokens` is about how many they have."""
        traces = self._traces(tokens, self._dictionary)
        counts = RowCounts(best_fixed_rate(self._reader, tokens))
        served, unmined = self._static.nothing(), self._static.nothing()
        for _, block in self._blocks(part, show):
            rows = block.rows.astype(np.int64)
            _all(
                pool,
                *(partial(trace.add, block) for trace in traces),
                partial(self._static.serve, rows, served),
                partial(self._serve_unmined, block, unmined),
                partial(counts.add, rows.reshape(-1)),
            )
        _all(pool, *(trace.finish for trace in traces))
        if not self._parts[-1]["tokens"]:
            return
        scheme = self._reader.scheme
        every = (0, scheme.num_rows(self._reader.layer))
        for trace in traces:
            static = _rates(self._static.served(served), trace)
            best = [
                counts.best_hit_rates(span, cache.sizes, cache.lru.accesses)
                for cache, span in zip(
                    trace.caches.values(), (every, *self._reader.spans), strict=True
                )
            ]
            chance = None
            if self._options.max_tokens_per_file is None:
                chance = _rates(self._static.served(unmined), trace, self._dictionary.rate)
            self._add(part.name, trace, static, best, best_sampled=counts.rate, chance=chance)
            if trace.use is not None:
                streams = {"held_out": part.name, "interleave": trace.streams}
                self._served += [{**streams, **row} for row in trace.use.document(scheme)]

    def document(self) -> dict[str, Any]:
        """Return everything that was found."""
        reader, dictionary = self._reader, self._dictionary
        scheme = reader.scheme
        record = RecordSpec(scheme.dtype, scheme.row_dim).record_bytes
        shares = zip(dictionary.sizes, dictionary.held, dictionary.shares, strict=True)
        return {
            "schema": SCHEMA,
            "scheme": scheme.name,
            "layer": reader.layer,
            "head": reader.head,
            "orders": list(scheme.orders),
            "heads_per_order": scheme.heads_per_order,
            "bytes_per_cache_row": record * scheme.heads_per_order * len(scheme.layers),
            "parts": self._parts,
            "curves": self.curves,
            "unique": self._unique,
            "dictionary": {
                "sample_rate": dictionary.rate,
                "max_tokens_per_file": self._options.max_tokens_per_file,
                "mined_tokens": dictionary.tokens,
                "made": [
                    {"entries": size, "entries_held": held, "share_by_order": share}
                    for size, held, share in shares
                ],
                "served": self._served,
            },
        }

    def _serve_unmined(self, block: Block, served: list[NDArray[np.int64]]) -> None:
        """Add the accesses of n-grams that were never mined: a fixed set serves them by chance."""
        assert block.keys is not None
        for number, counts in enumerate(self._dictionary.counts):
            rows = block.rows[counts.lacks(block.keys[:, number]), number]
            self._static.serve_order(number, rows.astype(np.int64), served)

    def _traces(self, tokens: int, dictionary: Dictionary | None) -> list[StreamTrace]:
        return [
            StreamTrace(streams, self._reader, tokens, self._options, dictionary)
            for streams in self._options.streams
        ]

    def _blocks(self, part: Part, show: Progress) -> Iterable[tuple[int, Block]]:
        """Read a part, and note how large it is."""
        tokens = documents = 0
        title = f"curves, {part.name or 'mined'}"
        with show(title, part.corpus.tokens_hint, "tokens") as advance:
            for file, batch in part.batches(advance):
                tokens += len(batch.ids)
                documents += len(batch.offsets) - 1
                yield file, self._reader.read(batch)
        self._parts.append({"held_out": part.name, "documents": documents, "tokens": tokens})

    def _add(
        self,
        name: str | None,
        trace: StreamTrace,
        static: Sequence[Curves],
        best: Sequence[Curves],
        *,
        best_sampled: float,
        chance: Sequence[Curves] | None,
    ) -> None:
        streams = {"held_out": name, "interleave": trace.streams}
        for number, (order, cache) in enumerate(trace.caches.items()):
            for policy, sampled, rates in (
                ("lru", cache.lru.rate, cache.lru.hit_rates()),
                ("s3fifo", cache.s3fifo.rate, cache.s3fifo.hit_rates()),
                ("static", 1.0, static[number]),
                ("best_fixed", best_sampled, best[number]),
            ):
                curve = {
                    **streams,
                    "order": order,
                    "policy": policy,
                    "sample_rate": sampled,
                    "cache_rows": list(rates),
                    "hit_rate": list(rates.values()),
                }
                if policy == "static" and chance is not None:
                    curve["by_chance"] = [min(rates[size], chance[number][size]) for size in rates]
                self.curves.append(curve)
        self._unique += [{**streams, **row} for row in trace.unique_document()]


def _all(pool: ThreadPoolExecutor, *tasks: Callable[[], None]) -> None:
    """Run tasks beside each other; wait for all, then raise what one raised."""
    for done in [pool.submit(task) for task in tasks]:
        done.result()


def _rates(served: list[dict[int, int]], trace: StreamTrace, sampled: float = 1.0) -> list[Curves]:
    """Return shares of accesses at the cache sizes of a trace, of all orders first."""
    return [
        {size: accesses[size] / max(1.0, sampled * cache.lru.accesses) for size in cache.sizes}
        for accesses, cache in zip(served, trace.caches.values(), strict=True)
    ]
