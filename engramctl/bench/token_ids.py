"""The token ids of a run: what each loop reads, and what is looked up before its first sample."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.arms.subject import Subject
from engramctl.arms.window import Window
from engramctl.bench.loop_arms import num_lists
from engramctl.fusion.rows_to_read import RowsToRead
from engramctl.hashing import Lookup
from engramctl.results.document import Case
from engramctl.results.states import TRAFFIC
from engramctl.storage.tiers.tier_list import on_disk
from engramctl.sweep.axes import SEQUENCES
from engramctl.sweep.loops import CHUNK, Loop, num_rounds
from engramctl.sweep.options import BenchOptions
from engramctl.traffic.chosen import Chosen
from engramctl.traffic.trace import Trace

PIECE = 64  # tokens of a request that n-gram records serve
READ_AGAIN = "its token ids were read before"


class TokenIds:
    """One trace, read once from its beginning on: first what comes before all samples.

    Attributes:
        wrapped: whether it was too short, and went on from its beginning.
    """

    def __init__(self, chosen: Chosen, scheme: Lookup, options: BenchOptions) -> None:
        """Take what is looked up before the first sample.

        Raises:
            CorpusError: the trace holds no usable ids, or fewer than that.
        """
        self._context = scheme.max_order - 1
        self._trace = Trace.of(chosen.name, scheme, options.seed, chosen.ids)
        first = list(self._trace.chunks(options.after, CHUNK, self._context))
        self._before = {tier: list(first) for tier in options.tiers if on_disk(tier)}
        self._num_first = dict.fromkeys(self._before, len(first))

    @property
    def wrapped(self) -> bool:
        """Whether the trace was shorter than the run."""
        return self._trace.wrapped

    def lists(self, loop: Loop) -> list[list[Window]]:
        """Return the next `num_lists` lists of windows, of each one a round.

        To be asked for once for every loop of a run, in order: also where none of it is measured.
        """
        options = loop.options
        tokens = {"decode": 1, "prefill": options.tokens, SEQUENCES: options.lengths[1]}
        size = num_rounds(loop), options.batch, tokens[loop.phase], self._context
        return [self._trace.windows(*size) for _ in range(num_lists(loop))]

    def flags(self, loop: Loop) -> list[str]:
        """Return why cases of a loop that was measured cannot be compared."""
        return [READ_AGAIN] if loop.cache == TRAFFIC and self.wrapped else []

    def owe(self, loop: Loop, cases: Sequence[Case], lists: Sequence[Sequence[Window]]) -> None:
        """Have stores look up what arms of an earlier run have read, before their next sample.

        In the state TRAFFIC alone: in the others nothing is left of it.

        Args:
            loop: that is not measured.
            cases: of that run.
            lists: of the loop.
        """
        if loop.cache != TRAFFIC:
            return
        tiers = Counter(case.tier for case in cases)
        readers = [set(tiers)] * max(tiers.values())  # see `by_windows`
        fetched = {case.tier for case in cases if case.fetch_samples_ns}
        readers += [fetched] if fetched else []
        if any(case.copy_samples_ns for case in cases):  # of one; the others followed
            readers.append({case.tier for case in cases if case.samples_ns})
        for some, windows in zip(readers, lists, strict=False):
            for tier in some.intersection(self._before):
                self._before[tier] += windows

    def look_up_before(self, tier: str, subject: Subject, progress: Callable[[int], None]) -> None:
        """Look up in a store what comes before the next sample, untimed; each window once.

        Args:
            tier: of the store; where rows are in no state, nothing is looked up.
            subject: the store, in the state TRAFFIC.
            progress: told of each chunk of what comes before all samples.
        """
        outs: dict[tuple[int, tuple[int, ...]], torch.Tensor] = {}
        windows = self._before.get(tier, [])
        first, self._num_first[tier] = self._num_first.get(tier, 0), 0
        for number, window in enumerate(windows):
            ids = subject.row_ids(window.token_ids_BT, window.history_BC)
            for part, keys in _in_pieces(ids):
                ticket = subject.store.prefetch(part, keys)
                for layer, layer_ids in part.items():
                    place = (layer, layer_ids.shape)
                    outs[place] = ticket.wait(layer, outs.get(place))
            if number < first:
                progress(1)
        windows.clear()


def _in_pieces(
    ids: RowsToRead,
) -> Iterator[tuple[dict[int, NDArray[np.integer[Any]]], NDArray[np.uint64] | None]]:
    """Give rows as they are asked for: with n-gram keys few at a time.

    What is too much to be read ahead is neither taken from records nor recorded.
    """
    keys = ids.ngram_keys
    if keys is None:
        yield dict(ids), None
        return
    step = max(1, PIECE // keys.shape[0])
    for first in range(0, keys.shape[1], step):
        here = slice(first, first + step)
        yield {layer: one[:, here] for layer, one in ids.items()}, keys[:, here]
