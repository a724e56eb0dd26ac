"""From a corpus and a scheme to hit-rate curves, unique shares and dictionaries: the entry.

    documents -> rows and n-grams -> 1, 8, 64, 512 of them in turn -> caches, chunks, dictionaries

The documents that are mined come first: static rows and dictionaries are made of them. Then each
held-out part is read once, with empty caches.
"""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from engramctl.corpus.corpus import Corpus
from engramctl.hashing import Scheme
from engramctl.reuse.documents import HELD_OUT_EVERY, split, whole
from engramctl.reuse.options import ReuseOptions
from engramctl.reuse.study import Progress, Study
from engramctl.reuse.writer import write_curves
from engramctl.storage.files.atomic import os_errors

CURVES = "curves.parquet"


def measure(
    corpus: Corpus,
    scheme: Scheme,
    folder: Path,
    options: ReuseOptions | None = None,
    *,
    held_out: Sequence[tuple[str, Corpus]] = (),
    threads: int | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Measure a corpus and write `curves.parquet` into a folder that is there.

    Memory is bounded: `engramctl.reuse.options` bounds the sampled rows and n-grams, counters take
    4 bytes a row of the heads that are read (one in `heads_per_order` of the table's), and the
    documents that are interleaved 4 or 8 bytes a token and order, with n-gram keys 16 more.

    Args:
        corpus: nine documents in ten are mined; the tenth is held out.
        scheme: which rows the corpus reads.
        folder: where the file goes.
        options: what to measure.
        held_out: names and corpora that are evaluated whole, too.
        threads: that follow the traces of a block beside each other; None: one a core, at most
            4. No result depends on them.
        progress: as `Output.progress`.

    Returns:
        the document that docs/counts.md describes under "Hit-rate curves"; rates are 0 to 1.

    Raises:
        ConfigError: the scheme has no such layer or head.
        CorpusError: the data cannot be used.
        StorageError: the file cannot be written.
    """
    options = options or ReuseOptions()
    show = progress or (lambda title, total, unit: nullcontext(lambda amount: None))
    corpus = _within(corpus, scheme)
    mined, tenth = split(corpus)
    of_tenth = corpus.tokens_hint // HELD_OUT_EVERY
    study = Study(options.reader(scheme), options, corpus.tokens_hint - of_tenth)
    with ThreadPoolExecutor(threads or min(4, len(os.sched_getaffinity(0)))) as pool:
        study.mine(mined, pool, show)
        study.evaluate(tenth, of_tenth, pool, show)
        for name, other in held_out:
            part = whole(name, _within(other, scheme))
            study.evaluate(part, other.tokens_hint, pool, show)
    with os_errors("write", folder / CURVES):
        write_curves(folder / CURVES, study.curves)
    return study.document()


def _within(corpus: Corpus, scheme: Scheme) -> Corpus:
    """Return the same corpus, whose ids must be ids of the scheme."""
    last = scheme.vocab_size - 1
    return replace(corpus, max_id=last if corpus.max_id is None else min(last, corpus.max_id))
