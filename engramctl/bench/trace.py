"""Which token ids a run looks up: uniform (the bound), Zipf, or real text.

Uniform ids are the worst case for every cache, a repeated filler token the best; real text lies
between, so a result names its trace.
"""

import numpy as np
from numpy.typing import NDArray

from engramctl.arms.window import Window
from engramctl.corpus.corpus import Corpus
from engramctl.errors import CorpusError, EngramError, near
from engramctl.hashing.walk.token_map import Canonical

GENERATED = ("uniform", "zipf")
ZIPF_EXPONENT = 1.1
_MOST_TOKENS = 4_000_000


class Trace:
    """An endless stream of windows; the same arguments give the same windows."""

    def __init__(self, name: str, vocab_size: int, seed: int) -> None:
        """Prepare the stream.

        Args:
            name: `uniform`, `zipf` or Parquet files of token ids.
            vocab_size: ids lie below it.
            seed: of the generated ids.

        Raises:
            CorpusError: the files hold no usable ids.
        """
        self.name = name
        self._vocab_size = vocab_size
        self._random = np.random.default_rng(seed)
        self._stream = None if name in GENERATED else _read(name, vocab_size)
        self._next = 0
        self.wrapped = False

    def window(self, batch: int, tokens: int, context: int) -> Window:
        """Return the next `batch` sequences of `tokens` ids, each with `context` ids before it."""
        length = context + tokens
        if self._stream is None:
            ids_BS = self._generate(batch * length).reshape(batch, length)
        else:
            ids_BS = np.stack([self._take(length) for _ in range(batch)])
        return Window(ids_BS[:, :context], ids_BS[:, context:])

    def _generate(self, count: int) -> NDArray[np.int64]:
        if self.name == "uniform":
            return self._random.integers(0, self._vocab_size, count)
        rank = self._random.zipf(ZIPF_EXPONENT, count) - 1
        return np.minimum(rank, self._vocab_size - 1).astype(np.int64)

    def _take(self, count: int) -> NDArray[np.int64]:
        assert self._stream is not None
        if self._next + count > len(self._stream):
            self._next = 0
            self.wrapped = True
        piece = self._stream[self._next : self._next + count]
        self._next += count
        return piece if len(piece) == count else np.resize(piece, count)


def _read(name: str, vocab_size: int) -> NDArray[np.int64]:
    pieces = []
    total = 0
    for batch in _corpus(name).batches():
        pieces.append(batch.ids.astype(np.int64))
        total += len(pieces[-1])
        if total >= _MOST_TOKENS:
            break
    if not total:
        raise CorpusError(
            f"the trace {name} has no tokens", hint="name files whose documents are not empty"
        )
    stream = np.concatenate(pieces)
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
