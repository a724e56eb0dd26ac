"""Which token ids a run looks up: uniform (the bound), Zipf, or real text.

Uniform ids are the worst case for every cache, a repeated filler token the best; real text lies
between, so a result names its trace.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from engramctl.arms.window import Window
from engramctl.corpus.corpus import Corpus
from engramctl.corpus.ngram_stream import NgramStream, ngram_stream
from engramctl.errors import CorpusError, EngramError, near
from engramctl.hashing import Lookup
from engramctl.hashing.walk.token_map import Canonical

GENERATED = ("uniform", "zipf")
ZIPF_EXPONENT = 1.1
_MOST_TOKENS = 4_000_000


class Trace:
    """An endless stream of windows; the same arguments give the same windows."""

    def __init__(
        self,
        name: str,
        vocab_size: int,
        seed: int,
        text: NDArray[np.int64] | None = None,
        ngrams: NgramStream | None = None,
    ) -> None:
        """Prepare the stream.

        Args:
            name: `uniform`, `zipf` or Parquet files of token ids.
            vocab_size: ids lie below it.
            seed: of the generated ids.
            text: int64 (N,), the ids of a text that was read already; `name` is then its name.
            ngrams: of a dictionary: generated ids are its n-grams one behind the other, since ids
                by chance match next to none.

        Raises:
            CorpusError: the files hold no usable ids.
        """
        self.name = name
        self._vocab_size = vocab_size
        self._random = np.random.default_rng(seed)
        self._ngrams = ngrams
        if text is None and name not in GENERATED:
            text = _read(name, vocab_size)
        self._stream = text
        self._next = 0
        self.wrapped = False

    @classmethod
    def of(
        cls, name: str, scheme: Lookup, seed: int, text: NDArray[np.int64] | None = None
    ) -> "Trace":
        """Prepare the stream that a table of this scheme is measured with."""
        return cls(name, scheme.vocab_size, seed, text, ngram_stream(scheme))

    def window(self, batch: int, tokens: int, context: int) -> Window:
        """Return the next `batch` sequences of `tokens` ids, each with `context` ids before it."""
        return self.windows(1, batch, tokens, context)[0]

    def windows(self, count: int, batch: int, tokens: int, context: int) -> list[Window]:
        """Return the windows of `count` samples.

        Of one token each, they are steps of a decode: `batch` texts, and in every sample the token
        that follows the one of the sample before, after the `context` ids before it. Of more, each
        is `batch` new prompts: no id of one is in another, while the trace lasts.
        """
        if tokens > 1:
            pieces = [self._pieces(batch, context + tokens) for _ in range(count)]
        else:
            ids_BS = self._pieces(batch, context + count)
            pieces = [ids_BS[:, step : step + context + 1] for step in range(count)]
        return [Window(ids_BS[:, :context], ids_BS[:, context:]) for ids_BS in pieces]

    def chunks(self, total: int, most: int, context: int) -> Iterator[Window]:
        """Yield the next `total` ids as one text, in windows of at most `most`.

        Every window has the `context` ids before it, of the window before where there is one.

        Raises:
            CorpusError: the trace has not so many ids.
        """
        if not total:
            return
        if self._stream is not None and context + total > len(self._stream) - self._next:
            raise CorpusError(
                f"the trace {self.name} is too short to be read before the first sample",
                facts={
                    "expected": f"{context + total:,} token ids, and then those of the samples",
                    "found": f"{len(self._stream) - self._next:,}",
                },
                hint="name a longer text with --trace, or fewer tokens with --after",
            )
        before_1C = self._pieces(1, context)
        for start in range(0, total, most):
            ids_1T = self._pieces(1, min(most, total - start))
            yield Window(before_1C, ids_1T)
            before_1C = np.concatenate([before_1C, ids_1T], axis=1)[:, ids_1T.shape[1] :]

    def _pieces(self, batch: int, length: int) -> NDArray[np.int64]:
        """Return the next ids of the trace, (batch, length), each row a text of its own."""
        if self._stream is None:
            return self._generate(batch * length).reshape(batch, length)
        return np.stack([self._take(length) for _ in range(batch)])

    def _generate(self, count: int) -> NDArray[np.int64]:
        if self._ngrams is not None:
            return self._ngrams.ids(self._ranks(count, len(self._ngrams)), count)
        return self._ranks(count, self._vocab_size)

    def _ranks(self, count: int, limit: int) -> NDArray[np.int64]:
        if self.name == "uniform":
            return self._random.integers(0, limit, count)
        rank = self._random.zipf(ZIPF_EXPONENT, count) - 1
        return np.minimum(rank, limit - 1).astype(np.int64)

    def _take(self, count: int) -> NDArray[np.int64]:
        assert self._stream is not None
        if self._next + count > len(self._stream):
            self._next = 0
            self.wrapped = True
        piece = self._stream[self._next : self._next + count]
        self._next += count
        return piece if len(piece) == count else np.resize(piece, count)


def ids_of(corpus: Corpus) -> NDArray[np.int64]:
    """Return the first token ids of a corpus, int64 (N,), one document behind the other."""
    pieces = []
    total = 0
    for batch in corpus.batches():
        pieces.append(batch.ids.astype(np.int64))
        total += len(pieces[-1])
        if total >= _MOST_TOKENS:
            break
    return np.concatenate(pieces) if pieces else np.empty(0, np.int64)


def _read(name: str, vocab_size: int) -> NDArray[np.int64]:
    stream = ids_of(_corpus(name))
    if not len(stream):
        raise CorpusError(
            f"the trace {name} has no tokens", hint="name files whose documents are not empty"
        )
    largest = int(stream.max())
    if largest >= vocab_size:
        raise CorpusError(
            f"the trace {name} has token ids the table's scheme does not know",
            facts={"expected": f"ids below {vocab_size:,}", "found": f"{largest:,}"},
            hint="use a corpus of the tokenizer the table was built for; that of a checkpoint is "
            "named with: engramctl layout --tokenizer",
        )
    return stream


def _corpus(name: str) -> Corpus:
    """Open a corpus of token ids; the options that other commands have for one are not here."""
    try:
        return Corpus.open([name])
    except EngramError as error:
        if error.hint is not None and "--" in error.hint:
            error.hint = "a trace is a column input_ids or token_ids of Parquet files"
        if question := near(name, GENERATED):
            error.hint = f"{question}\n{error.hint or ''}".rstrip()
        raise


def other_rows(name: str, canonical: Canonical) -> str | None:
    """Say when a trace reads other rows than the model would: token ids without their token map.

    Args:
        name: of the trace.
        canonical: the scheme's first step.
    """
    if name in GENERATED or not canonical.takes_canonical:
        return None
    return (
        f"the table takes canonical ids, and those of {name} are read as such; if they are token "
        "ids, the rows are not the model's: lay the checkpoint out with --tokenizer tokenizer.json"
    )
