"""The distributed engine: the kernels of the local one as Ray tasks.

    row groups -> pack (map): records by partition -> count (reduce): rows -> Parquet, here

The partition number is the shuffle key: a bucket is a range of partitions, a map task gives one
object a bucket and a reduce task counts the partitions of one. Rows come back in the order of the
result, so the files are those of the local engine, byte for byte. Both kinds of task are pure: Ray
runs one again when its worker is killed.
"""

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.access.recorder import Recorder
from engramctl.corpus.corpus import Corpus, Progress
from engramctl.corpus.parquet import column_size, read_footer
from engramctl.counting.chunks import cut_chunks
from engramctl.counting.count import Rows, count_partition, partition_chunk
from engramctl.counting.keys import KeyLayout
from engramctl.errors import ConfigError
from engramctl.mining import facts
from engramctl.mining.folder import counts_files, counts_maker
from engramctl.mining.local import layout_of
from engramctl.mining.options import MineOptions
from engramctl.mining.output import CountsOutput
from engramctl.mining.reading import Position, check_tokens
from engramctl.sources.file import SourceFile
from engramctl.storage.files.atomic import os_errors, write_json
from engramctl.storage.writing.partial_folder import PartialDirectory

MOST_BUCKETS = 64  # objects a map task gives
TASK_TOKENS = 1 << 22  # aimed at in a map task; a row group is never cut
CHUNK_TOKENS = 1 << 20
Piece = list[tuple[NDArray[np.uint64], NDArray[np.uint32]]]
"""Of each chunk the records of a bucket, and where its partitions begin and end in them."""


def mine_on_ray(
    corpus: Corpus,
    target: Path,
    options: MineOptions | None = None,
    *,
    address: str | None = None,
    force: bool = False,
    progress: Progress | None = None,
    also: Callable[[Path], dict[str, Any]] | None = None,
) -> dict[str, Any]:
    """Count the n-grams of a corpus on a Ray cluster; as `engramctl.mining.local.mine`.

    Memory and spilling of records are Ray's: `options.memory_bytes`, `tmp_dir` and `threads` do not
    reach the cluster. Workers need engramctl, and to see the corpus under the same names.

    Args:
        corpus: what `Corpus.open` gave.
        target: the directory to make, on this machine.
        options: what to count.
        address: of the cluster, as `ray.init` takes it; None: what RAY_ADDRESS says, else a new
            one on this machine. A connection that is open already is used.
        force: replace a finished directory.
        progress: as `Output.progress`.
        also: as for the local engine.

    Returns:
        the document of `summary.json`.

    Raises:
        ConfigError: Ray is not installed or not reached, or `target` is taken.
        CorpusError: the data cannot be used, or there are no documents; with `also` also where all
            of them are empty.
        StorageError: a write failed; an earlier result is untouched.
    """
    options = options or MineOptions()
    show = progress or (lambda title, total, unit: nullcontext(lambda amount: None))
    recorder = Recorder(None, options.orders, options.min_count)
    with (
        _cluster(address) as ray,
        os_errors("write", target),
        PartialDirectory(target, counts_maker(resumable=False), force=force) as work,
        ThreadPoolExecutor(options.num_threads) as pool,
    ):
        identity = pool.submit(facts.identity, corpus, options, recorder.identity())
        corpus = corpus.bounded()
        layout = layout_of(corpus, options)
        with show("reading", corpus.tokens_hint, "tokens") as advance:
            read, buckets = _pack_all(ray, corpus, layout, advance)
        check_tokens(corpus, read, needed=also is not None)
        with (
            show("counting", len(buckets), "buckets") as advance,
            CountsOutput(work.path, options, pool, recorder, None) as output,
        ):
            for parts in _count_all(ray, buckets, layout, options):
                for rows in parts:
                    output.add(rows)
                advance(1)
            totals = output.finish()
        summary = facts.summary(corpus, read, options, totals)
        recorder.finish(
            work.path,
            summary,
            memory_bytes=options.memory_bytes,
            threads=options.num_threads,
            show=show,
        )
        if also is not None:
            summary |= also(work.path)
        write_json(work.path / "summary.json", summary)
        about = facts.manifest(identity.result(), summary, work.path)
        work.publish(about | recorder.manifest(), counts_files(about))
    return summary


@contextmanager
def _cluster(address: str | None) -> Iterator[Any]:
    """Give the ray module, connected; leave as it was found."""
    try:
        import ray
    except ImportError as error:
        raise ConfigError(
            "mining on a cluster needs Ray", hint="run: pip install 'engramctl[ray]'"
        ) from error
    started = not ray.is_initialized()
    if started:
        try:
            ray.init(address=address, include_dashboard=False, log_to_driver=False)
        except Exception as error:  # ray raises many kinds
            raise ConfigError(
                f"no Ray cluster at {address or 'the default address'}",
                facts={"found": " ".join(str(error).split())[:300]},
                hint="check --ray-address, and RAY_AUTH_TOKEN if the cluster has one",
            ) from error
    try:
        yield ray
    except ray.exceptions.RayTaskError as error:
        raise error.cause from None
    finally:
        if started:
            ray.shutdown()


def file_groups(corpus: Corpus) -> Iterator[tuple[SourceFile, range]]:
    """Cut the corpus into runs of row groups of about TASK_TOKENS."""
    for file in corpus.files:
        meta = read_footer(file)
        tokens = column_size(meta, corpus.column, is_text=corpus.tokenizer is not None)
        groups = meta.num_row_groups
        run = max(1, groups * TASK_TOKENS // max(1, tokens))
        for first in range(0, groups, run):
            yield file, range(first, min(groups, first + run))


def _pack_all(
    ray: Any, corpus: Corpus, layout: KeyLayout, advance: Callable[[int], None]
) -> tuple[Position, list[list[Any]]]:
    """Start every map task; return what was read, and references to each bucket's pieces."""
    num_buckets = min(MOST_BUCKETS, 1 << layout.partition_bits)
    pack = ray.remote(_pack).options(num_returns=num_buckets + 1, name="engramctl pack")
    shared = ray.put((corpus, layout))
    started = [pack.remote(shared, num_buckets, *task) for task in file_groups(corpus)]
    read = Position(file=len(corpus.files))
    waiting = [first for first, *_ in started]
    while waiting:
        (ready,), waiting = ray.wait(waiting)
        tokens, documents, max_id = ray.get(ready)
        read.tokens += tokens
        read.documents += documents
        read.max_id = max(read.max_id, max_id)
        advance(tokens)
    return read, [[pieces[1 + bucket] for pieces in started] for bucket in range(num_buckets)]


def _pack(
    shared: tuple[Corpus, KeyLayout], num_buckets: int, file: SourceFile, groups: range
) -> tuple[Any, ...]:
    """Map task: partition row groups; returns (tokens, documents, largest id), then buckets."""
    corpus, layout = shared
    read = Position()
    pieces: list[Piece] = [[] for _ in range(num_buckets)]
    wide = (1 << layout.partition_bits) // num_buckets
    words = layout.record_words

    def batches() -> Iterator[Any]:
        for batch in corpus.part(file, groups, pieces=True):
            read.tokens += len(batch.ids)
            read.documents += batch.num_documents
            read.max_id = max(read.max_id, int(batch.ids.max(initial=0)))
            yield batch

    for chunk in cut_chunks(batches(), CHUNK_TOKENS):
        records, bounds = partition_chunk(chunk, layout)
        for bucket, piece in enumerate(pieces):
            mine = bounds[bucket * wide : (bucket + 1) * wide + 1]
            first, last = int(mine[0]), int(mine[-1])
            piece.append((records[first * words : last * words], mine - mine[0]))
    return (read.tokens, read.documents, read.max_id), *pieces


def _count_all(
    ray: Any, buckets: list[list[Any]], layout: KeyLayout, options: MineOptions
) -> Iterator[list[Mapping[int, Rows]]]:
    """Count bucket after bucket, some ahead; give the rows of each, in the order of the result."""
    count = ray.remote(_count).options(name="engramctl count")
    ahead = 2 * max(1, int(ray.cluster_resources().get("CPU", 1)))
    wide = (1 << layout.partition_bits) // len(buckets)
    waiting: deque[Any] = deque()
    for number, pieces in enumerate(buckets):
        waiting.append(
            count.remote(layout, number * wide, options.orders, options.min_count, *pieces)
        )
        buckets[number] = []  # the task holds its pieces; they go when it is done
        if len(waiting) > ahead:
            yield ray.get(waiting.popleft())
    while waiting:
        yield ray.get(waiting.popleft())


def _count(
    layout: KeyLayout, first: int, orders: Iterable[int], min_count: int, *pieces: Piece
) -> list[Mapping[int, Rows]]:
    """Reduce task: the rows of a bucket's partitions, `first` being the lowest."""
    chunks = [chunk for piece in pieces for chunk in piece]
    words = layout.record_words
    made: list[Mapping[int, Rows]] = []
    for number in range(len(chunks[0][1]) - 1 if chunks else 0):

        def records(number: int = number) -> Iterator[NDArray[np.uint64]]:
            for values, bounds in chunks:
                begin, end = int(bounds[number]), int(bounds[number + 1])
                if begin < end:
                    yield values[begin * words : end * words]

        if any(bounds[number] < bounds[number + 1] for _, bounds in chunks):
            parts = count_partition(
                records, layout, first + number, tuple(orders), min_count=min_count
            )
            made.extend(parts)
    return made
