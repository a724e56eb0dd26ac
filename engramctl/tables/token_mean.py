"""Rows that know their n-grams: each the mean of the token embeddings of what lands in it.

The n-grams are put into one temporary file an order. From it those of one head are hashed and
sorted by row, as many rows at a time as memory allows: the table may be of any size. A row's sum
runs in the order of the counts folder, in float64, so its bytes depend on nothing else.
"""

import tempfile
import threading
from collections import OrderedDict
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from engramctl.counts.scheme_ngrams import SeenNgrams
from engramctl.hashing.kernels.windows import WindowHash
from engramctl.runtime.kernel_cache import njit
from engramctl.storage.files.atomic import os_errors
from engramctl.storage.files.free_space import check_space
from engramctl.storage.reading.table import pread_exactly
from engramctl.storage.writing.convert import Values

MEMORY_BYTES = 192 << 20
_NGRAM_BYTES = 80  # of one while a part is sorted
_MOST_ROWS = 1 << 22
_BATCH = 1 << 16


@dataclass(frozen=True)
class _Part:
    """Rows [start, stop) of one head."""

    layer: int
    column: int
    order: int
    start: int
    stop: int


@dataclass(frozen=True)
class _Landed:
    """What lands in a part: row r's n-grams are [starts[r], starts[r + 1]) of the others."""

    starts: NDArray[np.int64]
    tokens: NDArray[np.uint32]
    counts: NDArray[np.float64]


@dataclass(frozen=True)
class _Records:
    """Some n-grams: their canonical ids, C-contiguous uint32 (m, order), and all there is."""

    ids: NDArray[np.uint32]
    records: NDArray[np.uint32]
    order: int

    def take(self, which: NDArray[np.int64]) -> tuple[NDArray[np.uint32], NDArray[np.float64]]:
        """Return token ids (k, order) and counts (k,) of some of them."""
        chosen = self.records[which]
        counts = np.ascontiguousarray(chosen[:, 2 * self.order :]).view("<u8").reshape(-1)
        return chosen[:, self.order : 2 * self.order].copy(), counts.astype(np.float64)


def _record_bytes(order: int) -> int:
    """Return the bytes of an n-gram in a temporary file."""
    return 4 * (2 * order + 2)


class _OrderFile:
    """The n-grams of one order in a temporary file: canonical ids, token ids, count."""

    def __init__(self, seen: SeenNgrams, order: int) -> None:
        """Write them."""
        self._order = order
        self._name = Path(f"order{order}.ngrams")
        self._file = tempfile.TemporaryFile(prefix="engramctl-", suffix=".ngrams")  # noqa: SIM115
        with os_errors("write", Path(tempfile.gettempdir())):
            for _, some in seen.read(order):
                records = np.empty((len(some.ids), 2 * order + 2), "<u4")
                records[:, :order] = some.ids
                records[:, order : 2 * order] = some.tokens
                records[:, 2 * order :] = some.counts.astype("<u8").view("<u4").reshape(-1, 2)
                self._file.write(records.data)
            self._file.flush()
        self._num_ngrams = self._file.tell() // _record_bytes(order)

    def __len__(self) -> int:
        return self._num_ngrams

    def __iter__(self) -> Iterator[_Records]:
        """Give them batch by batch; safe from several threads."""
        order, width = self._order, 2 * self._order + 2
        for start in range(0, len(self), _BATCH):
            size = 4 * width * min(_BATCH, len(self) - start)
            data = pread_exactly(self._file.fileno(), size, 4 * width * start, self._name)
            records = np.frombuffer(data, "<u4").reshape(-1, width)
            yield _Records(np.ascontiguousarray(records[:, :order]), records, order)

    def close(self) -> None:
        """Delete the file."""
        self._file.close()


class TokenMean:
    """The values of such rows; safe from several threads. A context manager.

    A row is the count-weighted mean of its n-grams, an n-gram the mean of its tokens' embeddings.
    Rows that no n-gram of the counts reaches are those of `fallback`; so are all rows of orders
    that the folder does not have.
    """

    def __init__(
        self,
        seen: SeenNgrams,
        embeddings: NDArray[np.float32],
        fallback: Values,
        *,
        workers: int,
        memory_bytes: int = MEMORY_BYTES,
    ) -> None:
        """Write the temporary files and cut every head into parts.

        Args:
            seen: n-grams and their scheme.
            embeddings: of every token id, float32 (vocab_size, row_dim).
            fallback: the other rows' values.
            workers: threads that ask, each for rows near each other.
            memory_bytes: for n-grams, the embeddings not counted.

        Raises:
            CorpusError: broken counts, or ids outside the vocabulary.
            StorageError: no space for the temporary files.
        """
        needed = sum(seen.num_ngrams(order) * _record_bytes(order) for order in seen.orders)
        check_space(needed, Path(tempfile.gettempdir()), hint="name a folder on a disk with TMPDIR")
        self._scheme = seen.scheme
        self._ngrams = {order: _OrderFile(seen, order) for order in seen.orders}
        self._embeddings = embeddings
        self._fallback = fallback
        self._kept = workers + 1
        most = max(1, memory_bytes // (self._kept * _NGRAM_BYTES))
        self._parts: dict[int, list[_Part]] = {}
        for layer in seen.scheme.layers:
            self._parts[layer] = []
            for column, head in enumerate(seen.scheme.layer_hash(layer).heads):
                if head.order not in seen.orders:
                    continue
                ngrams = len(self._ngrams[head.order])
                cuts = max(1, -(-ngrams // most), -(-head.modulus // _MOST_ROWS))
                edges = [head.offset + head.modulus * k // cuts for k in range(cuts + 1)]
                self._parts[layer] += [
                    _Part(layer, column, head.order, start, stop) for start, stop in pairwise(edges)
                ]
        self.landed: OrderedDict[_Part, Future[_Landed]] = OrderedDict()
        self._lock = threading.Lock()

    def __call__(self, layer: int, row: int, out: NDArray[np.float32]) -> None:
        """Write the values of consecutive rows, float32 (n, row_dim); see `Values`."""
        self._fallback(layer, row, out)
        for part in self._parts[layer]:
            first, last = max(row, part.start), min(row + len(out), part.stop)
            if first < last:
                landed = self._of(part)
                _means(
                    landed.starts, landed.tokens, landed.counts, self._embeddings,
                    first - part.start, out[first - row : last - row],
                )  # fmt: skip

    def composed(self, layer: int, row: int, num_rows: int) -> int:
        """Return how many of consecutive rows are means, and not `fallback`'s."""
        total = 0
        for part in self._parts[layer]:
            first, last = max(row, part.start), min(row + num_rows, part.stop)
            if first < last:
                starts = self._of(part).starts[first - part.start : last - part.start + 1]
                total += int(np.count_nonzero(starts[1:] > starts[:-1]))
        return total

    def _of(self, part: _Part) -> _Landed:
        """Return what lands in a part; the first that asks reads it, the others wait."""
        with self._lock:
            found = self.landed.get(part)
            mine = found is None
            if found is None:
                found = self.landed[part] = Future()
            self.landed.move_to_end(part)
            while len(self.landed) > self._kept:
                self.landed.popitem(last=False)
        if mine:
            try:
                found.set_result(self._read(part))
            except BaseException as error:
                found.set_exception(error)
        return found.result()

    def _read(self, part: _Part) -> _Landed:
        scheme, ngrams = self._scheme, self._ngrams[part.order]
        hashed = WindowHash(
            scheme.layer_hash(part.layer), scheme.mix, [part.column], scheme.canonical.num_canonical
        )
        rows = [np.empty(0, np.int64)]
        tokens = [np.empty((0, part.order), np.uint32)]
        counts = [np.empty(0, np.float64)]
        for some in ngrams:
            landed = hashed(some.ids)[:, 0]
            here = np.flatnonzero((landed >= part.start) & (landed < part.stop))
            rows.append(landed[here].astype(np.int64) - part.start)
            chosen, times = some.take(here)
            tokens.append(chosen)
            counts.append(times)
        row = np.concatenate(rows)
        turn = np.argsort(row, kind="stable")
        starts = np.zeros(part.stop - part.start + 1, np.int64)
        np.cumsum(np.bincount(row, minlength=len(starts) - 1), out=starts[1:])
        return _Landed(starts, np.concatenate(tokens)[turn], np.concatenate(counts)[turn])

    def __enter__(self) -> Self:
        """Return itself; leaving deletes the temporary files."""
        return self

    def __exit__(self, *_: object) -> None:
        """Delete the temporary files."""
        for ngrams in self._ngrams.values():
            ngrams.close()


@njit(nogil=True, cache=True)
def _means(  # type: ignore[no-untyped-def]  # pragma: no cover
    starts, tokens, counts, embeddings, first, out
) -> Any:
    total = np.empty(out.shape[1], np.float64)
    for i in range(len(out)):
        begin, end = starts[first + i], starts[first + i + 1]
        if begin == end:
            continue
        total[:] = 0.0
        weight = 0.0
        for k in range(begin, end):
            weight += counts[k]
            for d in range(tokens.shape[1]):
                token = embeddings[tokens[k, d]]
                for j in range(len(total)):
                    total[j] += counts[k] * token[j]
        weight *= tokens.shape[1]
        for j in range(len(total)):
            out[i, j] = np.float32(total[j] / weight)
