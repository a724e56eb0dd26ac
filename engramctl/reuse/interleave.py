"""Documents one after the other -> one token from each of many documents in turn.

That is the order in which a server that decodes many sequences reads rows. A document that ends is
replaced by the next one in the same turn; at the end of the corpus places stay empty. Empty
documents take no place.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from engramctl.runtime.kernel_cache import compiled

PIECE_TOKENS = 1 << 18


@dataclass(frozen=True)
class Block:
    """Positions of whole documents, in order, and what is known of each.

    Attributes:
        rows: row ids, int32 or int64 (T, orders): one head of each order.
        keys: exact n-gram keys, uint64 (T, orders, 2); None where nobody needs them.
        offsets: int64, documents + 1; document d is `[offsets[d], offsets[d + 1])`.
    """

    rows: NDArray[np.signedinteger]
    keys: NDArray[np.uint64] | None
    offsets: NDArray[np.int64]


@dataclass(frozen=True)
class Piece:
    """Positions in the order of the trace: `rows` and `keys` as in a block."""

    rows: NDArray[np.signedinteger]
    keys: NDArray[np.uint64] | None


@compiled
def _turns(
    starts: NDArray[np.int64],
    ends: NDArray[np.int64],
    at: NDArray[np.int64],
    stop: NDArray[np.int64],
    state: NDArray[np.int64],
    is_last: bool,
    out: NDArray[np.int64],
) -> int:
    """Write the indices of positions in turn until documents or room run out; returns how many.

    Args:
        starts: first positions of the documents that wait.
        ends: where they end.
        at: the next position of each place; moved on.
        stop: where its document ends; moved on.
        state: the place whose turn it is, the next document that waits; moved on.
        is_last: no documents come after these.
        out: the indices.
    """
    place, waiting = state[0], state[1]
    written = idle = 0
    while written < len(out) and idle < len(at):
        if at[place] == stop[place]:
            if waiting < len(starts):
                at[place], stop[place] = starts[waiting], ends[waiting]
                waiting += 1
            elif not is_last:
                break
        if at[place] < stop[place]:
            out[written] = at[place]
            at[place] += 1
            written += 1
            idle = 0
        else:
            idle += 1
        place = (place + 1) % len(at)
    state[0], state[1] = place, waiting
    return written


class Interleaver:
    """Puts blocks into turns; holds the rest of the documents under way, nothing else.

    Memory: `streams` documents and one block: 4 or 8 bytes a token and order, 16 more with keys.
    """

    def __init__(self, streams: int) -> None:
        """Begin with empty places."""
        self.streams = streams
        self._at = np.zeros(streams, np.int64)
        self._stop = np.zeros(streams, np.int64)
        self._place = 0
        self._base = 0
        self._rest: Block | None = None

    def add(self, block: Block) -> Iterator[Piece]:
        """Give the pieces that these documents allow."""
        if self.streams == 1:
            yield Piece(block.rows, block.keys)
            return
        lengths = np.diff(block.offsets)
        starts, ends = block.offsets[:-1][lengths > 0], block.offsets[1:][lengths > 0]
        yield from self._run(self._joined(block), starts, ends, is_last=False)

    def finish(self) -> Iterator[Piece]:
        """Give what is left when no more documents come."""
        if self._rest is not None:
            none = np.empty(0, np.int64)
            yield from self._run(self._rest, none, none, is_last=True)

    def _joined(self, block: Block) -> Block:
        """Put a block behind the rest of the documents under way; its offsets are not used."""
        if self._rest is None:
            return block
        self._base = len(self._rest.rows)
        keys = None
        if block.keys is not None and self._rest.keys is not None:
            keys = np.concatenate([self._rest.keys, block.keys])
        return Block(np.concatenate([self._rest.rows, block.rows]), keys, block.offsets)

    def _run(
        self, pool: Block, starts: NDArray[np.int64], ends: NDArray[np.int64], *, is_last: bool
    ) -> Iterator[Piece]:
        base = 0 if is_last else self._base
        state = np.array([self._place, 0], np.int64)
        out = np.empty(PIECE_TOKENS, np.int64)
        while written := _turns(
            starts + base, ends + base, self._at, self._stop, state, is_last, out
        ):
            index = out[:written]
            keys = None if pool.keys is None else pool.keys[index]
            yield Piece(pool.rows[index], keys)
        self._place = int(state[0])
        self._keep(pool)

    def _keep(self, pool: Block) -> None:
        """Drop positions that were given."""
        lengths = self._stop - self._at
        index = np.concatenate(
            [np.arange(at, stop) for at, stop in zip(self._at, self._stop, strict=True)]
        )
        self._stop = np.cumsum(lengths)
        self._at = self._stop - lengths
        keys = None if pool.keys is None else pool.keys[index]
        self._rest = Block(pool.rows[index], keys, np.zeros(1, np.int64))
