"""The embedded engine: one machine, one read of the corpus, bounded memory.

    corpus -> chunks -> records by partition -> (memory, then disk) -> tables -> rows -> Parquet

Threads share the work: while the main thread reads, others partition chunks; then they count
partitions and encode row groups. Nothing they do can change a result.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from engramctl.access.recorder import Recorder
from engramctl.corpus.corpus import Corpus, Progress
from engramctl.counting.chunks import Chunk, cut_chunks
from engramctl.counting.count import partition_chunk
from engramctl.counting.keys import BUCKET_BITS, KeyLayout, partition_bits
from engramctl.counting.spill import SpillStore
from engramctl.hashing.scheme.scheme import Scheme
from engramctl.mining import facts
from engramctl.mining.folder import counts_files, counts_maker
from engramctl.mining.options import PARTITION_RECORDS, MineOptions
from engramctl.mining.output import CountsOutput, Sink
from engramctl.mining.partition_counter import PartitionCounter
from engramctl.mining.reading import CorpusReader, Position, check_tokens
from engramctl.mining.run_state import load_run, remembered, save_run
from engramctl.mining.spill_folder import remove_spill_folder, spill_folder, try_folder
from engramctl.mining.writer import OrderTotals
from engramctl.storage.files.atomic import os_errors, write_json
from engramctl.storage.writing.partial_folder import PartialDirectory

CHECKPOINT_SECONDS = 60.0  # of reading: what a killed run loses at most


def mine(
    corpus: Corpus,
    target: Path,
    options: MineOptions | None = None,
    *,
    force: bool = False,
    resume: bool = False,
    scheme: Scheme | None = None,
    also: Callable[[Path], dict[str, Any]] | None = None,
    progress: Progress | None = None,
    sink: Sink | None = None,
) -> dict[str, Any]:
    """Count the n-grams of a corpus exactly and write a counts directory.

    Args:
        corpus: what `Corpus.open` gave.
        target: the directory to make; its files are in docs/counts.md.
        options: what to count.
        force: replace a finished directory.
        resume: continue a run that was killed after a checkpoint; begin where there is none.
        scheme: whose row accesses are counted too; with a token map canonical ids are counted.
        also: called with the folder in the making when all is counted; it may write Parquet files
            there, and what it returns goes into the summary.
        progress: as `Output.progress`: title, total and unit -> a context with a counter.
        sink: called with an order and a piece of its rows, before `min_count` and `top_k` leave any
            out: so every distinct n-gram is seen once, in row order, whatever is written.

    Returns:
        the document of `summary.json`.

    Raises:
        CorpusError: the data cannot be used, or there are no documents; with `scheme` or `also`
            also where all of them are empty.
        ConfigError: `target` is taken, `resume` with another corpus or other options, or a scheme
            that needs orders that are not counted.
        StorageError: a write failed; an earlier result is untouched.
    """
    options = options or MineOptions()
    recorder = Recorder(scheme, options.orders, options.min_count)
    show = progress or (lambda title, total, unit: nullcontext(lambda amount: None))
    try_folder(options.tmp_dir)
    with (
        os_errors("write", target),
        PartialDirectory(target, counts_maker(), force=force, resume=resume) as work,
        ExitStack() as stack,
        ThreadPoolExecutor(options.num_threads) as pool,
    ):
        run = Run(corpus, options, work, pool, show, recorder)
        stack.callback(run.close)
        try:
            read = run.read()
            check_tokens(corpus, read, needed=scheme is not None or also is not None)
            totals = run.count(sink)
            summary = facts.summary(corpus, read, options, totals)
            run.record(summary)
        except Exception:
            work.abandon()
            raise
        if also is not None:
            summary |= also(work.path)
        write_json(work.path / "summary.json", summary)
        work.save_state({})  # without its records a run that is killed now has to begin anew
        run.remove()
        about = facts.manifest(run.identity, summary, work.path)
        work.publish(about | recorder.manifest(), counts_files(about))
    return summary


class Run:
    """One run: its store, its layout and how far it is."""

    def __init__(
        self,
        corpus: Corpus,
        options: MineOptions,
        work: PartialDirectory,
        pool: ThreadPoolExecutor,
        show: Progress,
        recorder: Recorder,
    ) -> None:
        """Begin, or go on from what an interrupted run left in `work`."""
        self._options = options
        self._work = work
        self._pool = pool
        self._show = show
        self._recorder = recorder
        self._state = load_run(work)
        self._identity = pool.submit(facts.identity, corpus, options, recorder.identity())
        if self._state is not None:
            with remembered(work):
                facts.check_identity(work.path, self._state["identity"], self.identity)
                self._layout = KeyLayout(**self._state["layout"])
                Position(**self._state["position"])
            largest = self._layout.end_id - 1 if corpus.max_id is None else corpus.max_id
            self._corpus = replace(corpus, max_id=largest)
        else:
            self._corpus = corpus.bounded()
            largest = recorder.largest_id(self._corpus.max_id or 0)
            self._layout = layout_of(replace(self._corpus, max_id=largest), options)
        self._folder = spill_folder(work, options, keep=self._state is not None)
        self._store = SpillStore(
            self._folder,
            partitions=1 << self._layout.partition_bits,
            record_words=self._layout.record_words,
            memory_bytes=options.resident,
        )
        with remembered(work) if self._state else nullcontext():
            if self._state is not None:
                self._store.take_up(self._state["spill"])
            recorder.begin(self._folder, self._state["recorder"] if self._state else None)

    @property
    def identity(self) -> dict[str, Any]:
        """Return what decides the bytes; the corpus is read for its digests meanwhile."""
        return self._identity.result()

    def read(self) -> Position:
        """Read the corpus once and put every n-gram into its partition."""
        hint = self._corpus.tokens_hint
        with self._show("reading", hint, "tokens") as advance:
            state = self._state["position"] if self._state else None
            reader = CorpusReader(self._corpus, state, advance)
            while not reader.finished:
                batches = map(self._recorder.read, reader.segment(CHECKPOINT_SECONDS))
                chunks = cut_chunks(batches, self._options.chunk_size(hint))
                tasks = (self._pool.submit(self._partition, chunk) for chunk in chunks)
                for _ in _in_order(tasks, self._options.num_threads):
                    pass
                if not reader.finished:
                    self.save_checkpoint(reader.position)
        return reader.position

    def count(self, sink: Sink | None) -> list[OrderTotals]:
        """Count partition after partition and write the files of all orders."""
        store = self._store
        numbers = store.filled()
        records = sum(store.size(number) for number in numbers)
        with (
            self._show("counting", records, "n-grams") as advance,
            ThreadPoolExecutor(self._options.num_threads) as encoders,
            CountsOutput(
                self._work.path, self._options, encoders, self._recorder, sink, spill=self._folder
            ) as output,
        ):
            counted = PartitionCounter(store, self._layout, output.min_count, self._options)
            for number, parts in counted.all(numbers, self._pool):
                for rows in parts:
                    output.add(rows)
                advance(store.size(number))
            return output.finish()

    def record(self, summary: dict[str, Any]) -> None:
        """Add what follows from the counts to the summary; the records are needed no more."""
        self._store.close()
        self._recorder.finish(
            self._work.path,
            summary,
            memory_bytes=self._options.memory_bytes,
            threads=self._options.num_threads,
            show=self._show,
        )

    def close(self) -> None:
        """Give back memory and files; a run that may be continued keeps them on disk."""
        if self._work.abandoned:
            self.remove()
        self._store.close()

    def remove(self) -> None:
        """Delete the records."""
        self._store.remove()
        self._recorder.remove()
        remove_spill_folder(self._folder, self._work)

    def _partition(self, chunk: Chunk) -> None:
        self._store.add(*partition_chunk(chunk, self._layout))

    def save_checkpoint(self, position: Position) -> None:
        """Make what was read so far safe on the disk, and write down how far it goes."""
        layout = self._layout
        run = {
            "identity": self.identity,
            "layout": {
                "order": layout.order,
                "end_id": layout.end_id,
                "partition_bits": layout.partition_bits,
            },
            "spill": self._store.checkpoint(),
            "recorder": self._recorder.checkpoint(),
            "position": position.state(),
        }
        save_run(self._work, run)


def layout_of(corpus: Corpus, options: MineOptions) -> KeyLayout:
    """Return how the records of a corpus, whose `max_id` is known, are packed."""
    end_id = (corpus.max_id or 0) + 1
    id_bits = end_id.bit_length()
    bits = partition_bits(options.longest, id_bits, corpus.tokens_hint, PARTITION_RECORDS)
    if options.partition_bits is not None:
        least = partition_bits(options.longest, id_bits, 0, PARTITION_RECORDS)
        bits = min(max(options.partition_bits, least), BUCKET_BITS)
    return KeyLayout(options.longest, end_id, bits)


def _in_order(tasks: Iterable[Future[None]], ahead: int) -> Iterator[None]:
    """Wait for the tasks in their order, of which `ahead` are under way at a time."""
    waiting: deque[Future[None]] = deque()
    for task in tasks:
        waiting.append(task)
        if len(waiting) > ahead:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()
