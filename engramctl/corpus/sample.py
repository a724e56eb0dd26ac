"""The text every machine has: Python's own standard library, as a small corpus with a tokenizer.

For `engramctl demo`, tests and benchmarks. The tokenizer is a byte-level BPE trained on a part of
the text; the same interpreter gives the same bytes.
"""

import os
import sysconfig
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from engramctl.errors import CorpusError

if TYPE_CHECKING:
    from tokenizers import Tokenizer

CORPUS, TOKENIZER = "corpus.parquet", "tokenizer.json"
COLUMNS = ("doc_id", "source", "text", "input_ids")
MAX_TEXT_BYTES = 8_000_000
VOCAB_SIZE = 16_384
TRAIN_EVERY = 4  # the tokenizer is trained on one document in four
BATCH_DOCUMENTS = 64
_LEFT_OUT = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}


@dataclass(frozen=True)
class SampleCorpus:
    """What `write_sample_corpus` made.

    Attributes:
        parquet: the corpus; columns doc_id int64, source string, text string, input_ids
            list<int32>; one document a source file.
        tokenizer: the tokenizer.json that made the ids.
        tokens: token ids in all.
        documents: rows.
    """

    parquet: Path
    tokenizer: Path
    tokens: int
    documents: int


def stdlib_files(max_bytes: int = MAX_TEXT_BYTES) -> list[Path]:
    """Return the standard library's own .py files, sorted, without its tests.

    Args:
        max_bytes: files are taken in order of their names until this much.

    Raises:
        CorpusError: this Python comes without its sources.
    """
    root = Path(sysconfig.get_path("stdlib"))
    files: list[Path] = []
    size = 0
    for name in sorted(_sources(root)):
        length = (root / name).stat().st_size
        if 0 < length <= max_bytes - size:
            files.append(root / name)
            size += length
    if not files:
        raise CorpusError(
            "this Python has no standard library sources to make a sample from",
            facts={"folder": root},
            hint="mine Parquet files of your own: engramctl mine corpus/ -o counts",
        )
    return files


def _sources(root: Path) -> Iterator[str]:
    for folder, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in _LEFT_OUT]
        for name in names:
            if name.endswith(".py"):
                yield (Path(folder) / name).relative_to(root).as_posix()


def read_documents(files: Sequence[Path]) -> list[tuple[str, str]]:
    """Return (name below the standard library, text) of each file that is UTF-8."""
    root = Path(sysconfig.get_path("stdlib"))
    documents = []
    for file in files:
        try:
            text = file.read_text(encoding="utf-8")
        except (UnicodeDecodeError, OSError):
            continue
        documents.append((file.relative_to(root).as_posix(), text))
    return documents


def train_tokenizer(texts: Sequence[str], path: Path, vocab_size: int = VOCAB_SIZE) -> "Tokenizer":
    """Train a byte-level BPE and write it as a tokenizer.json.

    Args:
        texts: what it learns from.
        path: the file to write.
        vocab_size: ids lie in [0, vocab_size).
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=[],
    )
    tokenizer.train_from_iterator(texts, trainer)
    path.write_text(tokenizer.to_str(pretty=False) + "\n", encoding="utf-8")
    return tokenizer


def write_ids_parquet(
    documents: Sequence[tuple[str, str]],
    tokenizer: "Tokenizer",
    path: Path,
    progress: Callable[[int], None] | None = None,
) -> int:
    """Tokenise documents in batches and write them; returns the number of tokens.

    Args:
        documents: (source, text) pairs.
        tokenizer: makes the ids, without special tokens.
        path: the Parquet file to write.
        progress: called with the number of documents of each batch.
    """
    import pyarrow as pa

    from engramctl.corpus.parquet import LocalWriter

    kinds = (pa.int64(), pa.string(), pa.string(), pa.list_(pa.int32()))
    fields = dict(zip(COLUMNS, kinds, strict=True))
    tokens = 0
    with LocalWriter(path, pa.schema(fields), compression="zstd") as writer:
        for start in range(0, len(documents), BATCH_DOCUMENTS):
            names, texts = zip(*documents[start : start + BATCH_DOCUMENTS], strict=True)
            encodings = tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)
            ids = [encoding.ids for encoding in encodings]
            numbers = range(start, start + len(ids))
            columns = zip((numbers, names, texts, ids), fields.values(), strict=True)
            arrays = [pa.array(column, kind) for column, kind in columns]
            writer.write_batch(pa.record_batch(arrays, schema=writer.schema))
            tokens += sum(map(len, ids))
            if progress is not None:
                progress(len(ids))
    return tokens


def is_sample_corpus(folder: Path) -> bool:
    """Tell whether what a folder has under our names is of `write_sample_corpus`, or not there."""
    import pyarrow as pa

    from engramctl.corpus.parquet import open_parquet
    from engramctl.sources.file import SourceFile

    corpus, model = folder / CORPUS, folder / TOKENIZER
    if not os.path.lexists(corpus):
        return not os.path.lexists(model)
    if corpus.is_symlink() or model.is_symlink() or not corpus.is_file():
        return False
    try:
        with open_parquet(SourceFile.local(corpus)) as parquet:
            return tuple(parquet.schema_arrow.names) == COLUMNS
    except (pa.ArrowException, OSError):
        return False


def write_sample_corpus(
    folder: Path,
    progress: Callable[[int], None] | None = None,
    max_bytes: int = MAX_TEXT_BYTES,
    vocab_size: int = VOCAB_SIZE,
) -> SampleCorpus:
    """Write `corpus.parquet` and `tokenizer.json` into a folder: about two million tokens.

    Each is whole or not there, and the tokenizer is never there alone.

    Args:
        folder: made if it is not there.
        progress: called with the number of documents of each batch.
        max_bytes: text to take.
        vocab_size: of the tokenizer.
    """
    from engramctl.storage.files.output_file import written_whole

    folder.mkdir(parents=True, exist_ok=True)
    documents = read_documents(stdlib_files(max_bytes))
    model, corpus = folder / TOKENIZER, folder / CORPUS
    texts = [text for _, text in documents[::TRAIN_EVERY]]
    with written_whole(model) as new_model:
        tokenizer = train_tokenizer(texts, new_model, vocab_size)
        with written_whole(corpus) as new_corpus:
            tokens = write_ids_parquet(documents, tokenizer, new_corpus, progress)
    return SampleCorpus(corpus, model, tokens, len(documents))
