"""The embedded engine: one machine, one read of the corpus, bounded memory.

    corpus -> chunks -> records by partition -> (memory, then disk) -> table -> rows -> Parquet

Threads share the work: while the main thread reads, others partition, one order of one chunk at a
time; then they count partitions while the main thread writes. Nothing they do can change a result.
"""

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import engramctl
from engramctl.corpus import Corpus, TokenBatch
from engramctl.errors import ConfigError, CorpusError
from engramctl.mining.chunks import cut_chunks
from engramctl.mining.count import count_partition, partition_chunk
from engramctl.mining.keys import MAX_ORDER, QUOTIENT_BITS, KeyLayout, partition_bits
from engramctl.mining.spill import SpillStore
from engramctl.mining.writer import (
    MANIFEST_SCHEMA,
    OrderTotals,
    OrderWriter,
    file_digest,
    file_facts,
)
from engramctl.sources import SourceFile
from engramctl.storage.atomic import os_errors, write_json
from engramctl.storage.publish import PartialDirectory

DEFAULT_MEMORY_BYTES = 644_245_094  # 0.6 GiB
FIXED_BYTES = 330 << 20  # the process itself, tables, Parquet pages on their way in and out
PARTITION_NGRAMS = 1 << 16  # aimed at: the table of a partition stays in the L2 cache
Progress = Callable[[str, int | None, str], AbstractContextManager[Callable[[int], None]]]
Item = TypeVar("Item")


@dataclass(frozen=True)
class MineOptions:
    """What to count, and with what means. Only the first two change a result.

    Attributes:
        orders: the orders to count, each 1 to 4.
        min_count: n-grams that occur less often are left out of the files.
        memory_bytes: aimed at for the whole process; records beyond it go to disk.
        threads: threads that partition and count; None: one a core, at most 4.
        partition_bits: log2 of the number of partitions; None: by the size of the corpus.
    """

    orders: tuple[int, ...] = (1, 2, 3, 4)
    min_count: int = 1
    memory_bytes: int = DEFAULT_MEMORY_BYTES
    threads: int | None = None
    partition_bits: int | None = None

    def __post_init__(self) -> None:
        """Check the options.

        Raises:
            ConfigError: one of them cannot be.
        """
        if not self.orders or len(set(self.orders)) < len(self.orders):
            raise ConfigError("orders must be named once each", hint="write: --orders 1,2,3,4")
        for order in self.orders:
            if not 1 <= order <= MAX_ORDER:
                raise ConfigError(
                    f"order {order} cannot be counted",
                    facts={"expected": f"1 to {MAX_ORDER}", "found": order},
                    hint="write: --orders 1,2,3,4",
                )
        if self.min_count < 1:
            raise ConfigError(f"min-count must be 1 or more, not {self.min_count}")

    @property
    def num_threads(self) -> int:
        """Threads to start."""
        return self.threads or min(4, len(os.sched_getaffinity(0)))

    def chunk_tokens(self, tokens: int) -> int:
        """Return the tokens to partition at a time, of about `tokens`.

        A few chunks must fit the memory, and even a small corpus makes work for every thread.
        """
        most = min(max(tokens >> 4, 1 << 16), 1 << 21)
        return max(1 << 10, min(self.memory_bytes >> 9, most))

    @property
    def resident_bytes(self) -> int:
        """Memory for records of one order before they go to disk."""
        return max(0, self.memory_bytes - FIXED_BYTES) // len(self.orders)


@dataclass
class _Read:
    """What reading the corpus tells."""

    tokens: int = 0
    documents: int = 0
    max_id: int = 0

    def watch(self, batches: Iterable[TokenBatch]) -> Iterator[TokenBatch]:
        for batch in batches:
            self.tokens += len(batch.ids)
            self.documents += len(batch.offsets) - 1
            self.max_id = max(self.max_id, int(batch.ids.max(initial=0)))
            yield batch


def mine(
    corpus: Corpus,
    target: Path,
    options: MineOptions | None = None,
    *,
    force: bool = False,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Count the n-grams of a corpus exactly and write a counts directory.

    Args:
        corpus: what `Corpus.open` gave.
        target: the directory to make; its files are in DESIGN.md section 4 "Counts".
        options: what to count.
        force: replace a finished directory.
        progress: as `Output.progress`: title, total and unit -> a context with a counter.

    Returns:
        the document of `summary.json`.

    Raises:
        CorpusError: the data cannot be used, or there are no tokens.
        ConfigError: `target` is taken.
        StorageError: a write failed; an earlier result is untouched.
    """
    options = options or MineOptions()
    show = progress or (lambda title, total, unit: nullcontext(lambda amount: None))
    with (
        os_errors("write", target),
        PartialDirectory(target, force=force, keep_on_failure=False, command="mine") as work,
        ExitStack() as stack,
        ThreadPoolExecutor(options.num_threads) as pool,
    ):
        corpus = corpus.bounded()
        layouts = _layouts(corpus, options)
        stores = [_store(work.path, layout, options) for layout in layouts]
        for store in stores:
            stack.callback(store.close)
        read = _partition(corpus, layouts, stores, options, pool, show)
        partitions = sum(len(store.filled()) for store in stores)
        with show("counting", partitions, "partitions") as advance:
            totals = [
                _count(work.path, layout, store, options, pool, advance)
                for layout, store in zip(layouts, stores, strict=True)
            ]
        summary = _summary(corpus, read, options, totals)
        write_json(work.path / "summary.json", summary)
        work.publish(_manifest(corpus, summary, work.path))
    return summary


def _layouts(corpus: Corpus, options: MineOptions) -> list[KeyLayout]:
    id_bits = max(1, (corpus.max_id or 0).bit_length())
    orders = tuple(sorted(options.orders))
    bits = partition_bits(orders, id_bits, corpus.tokens_hint, PARTITION_NGRAMS)
    if options.partition_bits is not None:
        least = partition_bits(orders, id_bits, 0, PARTITION_NGRAMS)
        bits = min(max(options.partition_bits, least), QUOTIENT_BITS)
    return [KeyLayout(order, id_bits, bits) for order in orders]


def _store(folder: Path, layout: KeyLayout, options: MineOptions) -> SpillStore:
    return SpillStore(
        folder / f"order{layout.order}.spill",
        memory_bytes=options.resident_bytes,
        record_words=layout.record_words,
    )


def _partition(
    corpus: Corpus,
    layouts: Sequence[KeyLayout],
    stores: Sequence[SpillStore],
    options: MineOptions,
    pool: ThreadPoolExecutor,
    show: Progress,
) -> _Read:
    """Read the corpus once and put every n-gram of every order into its partition."""
    read = _Read()
    with show("reading", corpus.tokens_hint, "tokens") as advance:
        batches = read.watch(corpus.batches(advance))
        tasks = (
            pool.submit(partition_chunk, chunk, layout, store)
            for chunk in cut_chunks(batches, options.chunk_tokens(corpus.tokens_hint))
            for layout, store in zip(layouts, stores, strict=True)
        )
        for _ in _in_order(tasks, max(len(layouts), options.num_threads)):
            pass
    if not read.tokens:
        raise CorpusError(
            "the corpus has no tokens",
            facts={"files": len(corpus.files), "documents": f"{read.documents:,}"},
            hint="name files whose documents are not empty",
        )
    return read


def _count(
    folder: Path,
    layout: KeyLayout,
    store: SpillStore,
    options: MineOptions,
    pool: ThreadPoolExecutor,
    advance: Callable[[int], None],
) -> OrderTotals:
    """Count one order, partition after partition, and write its file."""
    totals = OrderTotals(layout.order)
    tasks = (
        pool.submit(count_partition, store, layout, number, options.min_count)
        for number in store.filled()
    )
    with OrderWriter(folder / f"order{layout.order}.parquet", layout.order) as writer:
        for rows in _in_order(tasks, 2 * options.num_threads):
            totals.add(rows)
            writer.append(rows)
            advance(1)
    store.close()
    return totals


def _in_order(tasks: Iterator[Future[Item]], ahead: int) -> Iterator[Item]:
    """Give the results in the order of the tasks, of which `ahead` are under way at a time."""
    waiting: deque[Future[Item]] = deque()
    for task in tasks:
        waiting.append(task)
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _summary(
    corpus: Corpus, read: _Read, options: MineOptions, totals: Sequence[OrderTotals]
) -> dict[str, Any]:
    return {
        "schema": "engramctl.counts-summary/1",
        "tokens": read.tokens,
        "documents": read.documents,
        "max_token_id": read.max_id,
        "vocab_bits": max(1, read.max_id.bit_length()),
        "min_count": options.min_count,
        "column": corpus.column,
        "corpus": [str(file) for file in corpus.files],
        "skipped_files": [{"file": str(file), "reason": reason} for file, reason in corpus.skipped],
        "orders": [order.summary() for order in totals],
    }


def _manifest(corpus: Corpus, summary: dict[str, Any], folder: Path) -> dict[str, Any]:
    tokenizer = corpus.tokenizer_path if corpus.tokenizer else None
    orders = []
    for order in summary["orders"]:
        name = f"order{order['order']}.parquet"
        facts = {key: order[key] for key in ("order", "distinct", "kept")}
        orders.append({**facts, "file": name, **file_facts(SourceFile.local(folder / name))})
    return {
        "schema": MANIFEST_SCHEMA,
        "created_by": f"engramctl {engramctl.__version__}",
        "corpus": [{"file": str(file), **file_facts(file)} for file in corpus.files],
        "skipped_files": summary["skipped_files"],
        "column": corpus.column,
        "tokenizer_xxh3_128": file_digest(SourceFile.local(tokenizer)) if tokenizer else None,
        "token_map_xxh3_128": None,
        "tokens": summary["tokens"],
        "documents": summary["documents"],
        "min_count": summary["min_count"],
        "orders": orders,
    }
