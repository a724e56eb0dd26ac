"""Which token ids a run reads that names none: real text where some is at hand, else Zipf."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engramctl.corpus.corpus import Corpus
from engramctl.corpus.sample import read_documents, stdlib_files
from engramctl.counts.manifest import read_counts_manifest
from engramctl.errors import EngramError
from engramctl.hashing import Lookup
from engramctl.traffic.trace import ZIPF_EXPONENT, ids_of
from engramctl.vocabulary.fingerprints import Fingerprints, of_counts, of_scheme, of_tokenizer
from engramctl.vocabulary.tokenizer_file import (
    TOKENIZER,
    load_canonical,
    load_tokenizer,
    map_fingerprint,
)

AUTO = "auto"
LEAST_TOKENS = 10_000  # a shorter text would be read again and again
TEXT_BYTES = 4_000_000  # of Python's library: a million tokens, about a second


@dataclass(frozen=True)
class Chosen:
    """The token ids of a run.

    Attributes:
        name: as the result has it: `uniform`, `zipf`, what was named, or where text was found.
        ids: int64 (N,), of a text that was found; None: `Trace` makes or reads them by name.
        told: what was chosen and why, in words; None where it was named.
    """

    name: str
    ids: NDArray[np.int64] | None
    told: str | None


def choose_trace(name: str, table: Path, scheme: Lookup) -> Chosen:
    """Return the token ids that are named, or for `auto` the best there are for a table.

    Of real text: the corpus of a folder `counts` beside the table, then Python's own library by the
    tokenizer.json in the table's folder or beside it. Both only where their vocabulary is not
    another than the scheme's, and every id is one of the scheme's.

    Args:
        name: a trace, or `auto`.
        table: the folder or checkpoint that is measured.
        scheme: of the table.
    """
    if name != AUTO:
        return Chosen(name, None, None)
    if not scheme.canonical.takes_canonical:  # of token ids: text would read rows of no text
        for source, told, ids in _texts(table, scheme):
            if len(ids) >= LEAST_TOKENS and int(ids.max()) < scheme.vocab_size:
                return Chosen(source, ids, f"token ids of {told}")
    told = f"Zipf token ids (exponent {ZIPF_EXPONENT}): no text of the table's tokenizer is here"
    return Chosen("zipf", None, told)


def _texts(table: Path, scheme: Lookup) -> Iterator[tuple[str, str, NDArray[np.int64]]]:
    """Yield name, words and ids of every text that there is, the best first."""
    wanted = of_scheme(scheme.canonical, f"the scheme of {table}")
    tokenizer = next(_tokenizers(table, wanted), None)
    counts = table.parent / "counts"
    try:
        if (corpus := _mined_corpus(counts, wanted, tokenizer)) is not None:
            yield str(counts), f"the corpus that {counts} was mined from", ids_of(corpus)
    except (EngramError, OSError, LookupError, TypeError):
        pass  # nobody asked for it
    if tokenizer is not None:
        try:
            ids = _library(tokenizer)
        except (EngramError, OSError):
            return
        yield "python", f"Python's own library, by {tokenizer}", ids


def _mined_corpus(counts: Path, wanted: Fingerprints, tokenizer: Path | None) -> Corpus | None:
    """Open what a folder of counts was mined from; None where there is none of this tokenizer."""
    if not counts.is_dir():
        return None
    manifest = read_counts_manifest(counts)
    if wanted.differs(of_counts(counts, manifest)) is not None:
        return None
    files = [Path(one["file"]) for one in manifest["corpus"]]
    if not all(file.is_file() for file in files):
        return None
    of_text = manifest.get("tokenizer_xxh3_128") is not None
    if of_text and tokenizer is None:
        return None
    return Corpus.open(files, manifest["column"], tokenizer if of_text else None)


def _tokenizers(table: Path, wanted: Fingerprints) -> Iterator[Path]:
    """Yield each tokenizer.json of a table's folder, or beside it, that may be the scheme's."""
    for folder in (table, table.parent):
        path = folder / TOKENIZER
        try:
            found = of_tokenizer(path) if path.is_file() else None
            if found is None or wanted.differs(found) is not None:
                continue
            mapped = wanted.vocabulary is None and wanted.token_map is not None
            if mapped and map_fingerprint(load_canonical(path)) != wanted.token_map:
                continue
        except (EngramError, OSError):
            continue
        yield path


def _library(tokenizer: Path) -> NDArray[np.int64]:
    """Return the ids of Python's own library, int64 (N,)."""
    model = load_tokenizer(tokenizer)
    texts = [text for _, text in read_documents(stdlib_files(TEXT_BYTES))]
    encodings = model.encode_batch_fast(texts, add_special_tokens=False)
    return np.concatenate([np.array(one.ids, np.int64) for one in encodings])
