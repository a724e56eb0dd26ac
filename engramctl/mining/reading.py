"""Reading a corpus once, with a position to continue from."""

import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, astuple, dataclass, replace
from typing import Any

import numpy as np

from engramctl.corpus.batch import TokenBatch
from engramctl.corpus.corpus import Corpus
from engramctl.errors import CorpusError


@dataclass
class Position:
    """How far a corpus was read.

    Attributes:
        file: files that are done.
        document: documents done of the file after them.
        tokens: tokens read in all.
        documents: documents read in all.
        max_id: the largest id so far.
    """

    file: int = 0
    document: int = 0
    tokens: int = 0
    documents: int = 0
    max_id: int = 0

    def __post_init__(self) -> None:
        """Check what a file may have said."""
        if any(type(one) is not int or not 0 <= one < 1 << 62 for one in astuple(self)):
            raise ValueError("a position is made of numbers from 0 on")

    def state(self) -> dict[str, int]:
        """Return it as JSON."""
        return asdict(self)


def check_tokens(corpus: Corpus, read: Position, *, needed: bool) -> None:
    """Refuse a corpus without documents, or without tokens where they are `needed`.

    Documents that are all empty are a result: no n-gram occurs.

    Raises:
        CorpusError: so it is.
    """
    if read.documents == 0 or (needed and read.tokens == 0):
        raise CorpusError(
            f"the corpus has no {'tokens' if read.documents else 'documents'}",
            facts={"files": len(corpus.files), "documents": f"{read.documents:,}"},
            hint="name files whose documents are not empty",
        )


class CorpusReader:
    """Gives a corpus in segments of some seconds; between two, `position` is where it stands."""

    def __init__(
        self, corpus: Corpus, state: dict[str, Any] | None, advance: Callable[[int], None]
    ) -> None:
        """Begin, or continue.

        Args:
            corpus: what is read.
            state: `Position.state()` of an earlier run over the same files, or None.
            advance: called with the tokens that were read.
        """
        self.position = Position(**(state or {}))
        self.finished = False
        self._advance = advance
        advance(self.position.tokens)
        self._batches = self._all(corpus)

    def segment(self, seconds: float) -> Iterator[TokenBatch]:
        """Give batches until the time is up and a document ends; at least one, if there is one."""
        until = time.monotonic() + seconds
        for batch in self._batches:
            yield batch
            self._advance(len(batch.ids))
            if time.monotonic() >= until and not batch.is_cut:
                return
        self.finished = True

    def _all(self, corpus: Corpus) -> Iterator[TokenBatch]:
        at = self.position
        for number in range(at.file, len(corpus.files)):
            done = at.document if number == at.file else 0
            at.file, at.document = number, done
            for batch in replace(corpus, files=(corpus.files[number],)).batches(pieces=True):
                if batch.is_cut and done:
                    continue  # of a document that is done
                documents = len(batch.offsets) - 1
                left = _without(batch, min(done, documents))
                done -= documents - (len(left.offsets) - 1)
                if len(left.offsets) == 1:
                    continue
                at.document += left.num_documents
                at.documents += left.num_documents
                at.tokens += len(left.ids)
                at.max_id = max(at.max_id, int(left.ids.max(initial=0)))
                yield left
        at.file, at.document = len(corpus.files), 0


def _without(batch: TokenBatch, documents: int) -> TokenBatch:
    """Return a batch without its first documents."""
    if documents == 0:
        return batch
    begin = int(batch.offsets[documents])
    return TokenBatch(batch.ids[begin:], (batch.offsets[documents:] - begin).astype(np.int64))
