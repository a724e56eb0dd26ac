"""Parquet files -> batches of token ids, each value checked once, in bounded memory.

A corpus has one column of documents: lists of token ids in any integer list type, or text that a
`tokenizers` tokenizer.json turns into ids. A null list or a null text is an empty document.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from engramctl.errors import ConfigError, CorpusError
from engramctl.parquet import (
    MAX_ID,
    check_column,
    choose_column,
    column_size,
    find_files,
    largest_id,
    read_footer,
    reading,
)

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BATCH_TOKENS = 1 << 18  # aimed at; one document is never cut
BATCH_DOCUMENTS = 512  # text documents that are tokenised at a time
BATCH_CHARACTERS = 1 << 20
# pyarrow's own defaults read ahead through the whole file: memory would grow with the corpus.
READER = {"pre_buffer": False, "buffer_size": 1 << 20, "page_checksum_verification": True}


@dataclass(frozen=True)
class TokenBatch:
    """Whole documents, one after the other.

    Attributes:
        ids: token ids, uint32, flat.
        offsets: int64, documents + 1; document d is `ids[offsets[d] : offsets[d + 1]]`.
    """

    ids: NDArray[np.uint32]
    offsets: NDArray[np.int64]


@dataclass(frozen=True)
class Corpus:
    """Files with one column of documents; made by `Corpus.open`, which has checked the schemas.

    Attributes:
        files: the Parquet files, in reading order.
        column: the column that is read.
        tokenizer_path: the tokenizer.json, or None.
        tokenizer: what makes ids of a text column; None for a column of ids.
        documents: rows of all files.
        max_id: no token id may be above it: the tokenizer's largest, the caller's vocabulary, or
            the largest of the Parquet statistics. None when no statistics tell.
        tokens_hint: about how many tokens there are (exact enough to size work), from the footers.
    """

    files: tuple[Path, ...]
    column: str
    tokenizer_path: Path | None
    tokenizer: "Tokenizer | None"
    documents: int
    max_id: int | None
    tokens_hint: int

    @classmethod
    def open(
        cls,
        paths: Iterable[str | Path],
        column: str | None = None,
        tokenizer: Path | None = None,
        vocab_size: int | None = None,
    ) -> "Corpus":
        """Find the files and check that every one has the column, before any data is read.

        Args:
            paths: files, folders (every *.parquet below, sorted) and glob patterns.
            column: the column to read. Default: with a tokenizer `text`, then `input_ids`, then
                `token_ids`; without one only the last two.
            tokenizer: a tokenizer.json. For a column of ids it only bounds them.
            vocab_size: ids must be below it, where it is known.

        Raises:
            CorpusError: no files, a file that is not Parquet, a missing or unusable column.
            ConfigError: the tokenizer cannot be read, or text without a tokenizer.
        """
        files = tuple(find_files(paths))
        metas = [read_footer(file) for file in files]
        schemas = [meta.schema.to_arrow_schema() for meta in metas]
        name = column or choose_column(files[0], schemas[0], with_text=tokenizer is not None)
        kinds = [check_column(*pair, name) for pair in zip(files, schemas, strict=True)]
        if len(set(kinds)) > 1:
            other = files[kinds.index("ids" if kinds[0] == "text" else "text")]
            raise CorpusError(
                f"column '{name}' holds token ids in one file and text in another",
                facts={"first": files[0], "other": other},
            )
        if kinds[0] == "text" and tokenizer is None:
            raise ConfigError(
                f"column '{name}' holds text, which needs a tokenizer",
                hint="add --tokenizer tokenizer.json, or name a column of ids with --column",
            )
        model = _load_tokenizer(tokenizer) if tokenizer else None
        bounds = [vocab_size - 1] if vocab_size else []
        if model is not None:
            bounds.append(max(model.get_vocab(with_added_tokens=True).values(), default=0))
        is_text = kinds[0] == "text"
        if not is_text and not bounds:
            bounds += [bound for bound in (largest_id(metas, name),) if bound is not None]
        return cls(
            files=files,
            column=name,
            tokenizer_path=tokenizer,
            tokenizer=model if is_text else None,
            documents=sum(meta.num_rows for meta in metas),
            max_id=min(bounds) if bounds else None,
            tokens_hint=sum(column_size(meta, name, is_text=is_text) for meta in metas),
        )

    def batches(self, progress: Callable[[int], None] | None = None) -> Iterator[TokenBatch]:
        """Read the corpus once, in order.

        Args:
            progress: called with the number of tokens of each batch.

        Raises:
            CorpusError: broken data, null elements, or an id that is negative or above `max_id`.
        """
        for file in self.files:
            row = 0
            for array in self._arrays(file):
                with reading(file):
                    lists = self._tokenise(array) if self.tokenizer else _lists(array, file, row)
                    batch = TokenBatch(self._checked(*lists, file, row), lists[1])
                row += len(array)
                yield batch
                if progress is not None:
                    progress(len(batch.ids))

    def bounded(self) -> "Corpus":
        """Return the same corpus with `max_id` known; reads it once where no statistics tell."""
        if self.max_id is not None:
            return self
        largest = max((int(batch.ids.max(initial=0)) for batch in self.batches()), default=0)
        return replace(self, max_id=largest)

    def _arrays(self, file: Path) -> Iterator[pa.Array]:
        with reading(file), pq.ParquetFile(file, **READER) as parquet:
            rows = max(1, parquet.metadata.num_rows)
            is_text = self.tokenizer is not None
            per_row = max(1, column_size(parquet.metadata, self.column, is_text=is_text) // rows)
            limit = BATCH_DOCUMENTS if is_text else 1 << 16
            size = max(1, min(limit, BATCH_TOKENS // per_row))
            for batch in parquet.iter_batches(batch_size=size, columns=[self.column]):
                yield batch.column(batch.schema.get_field_index(self.column))

    def _tokenise(self, texts: pa.Array) -> tuple[NDArray[Any], NDArray[np.int64]]:
        assert self.tokenizer is not None
        ids: list[NDArray[np.uint32]] = []
        lengths: list[int] = []
        for group in _text_groups(texts):
            for encoding in self.tokenizer.encode_batch_fast(group, add_special_tokens=False):
                ids.append(np.array(encoding.ids, np.uint32))
                lengths.append(len(ids[-1]))
        flat = np.concatenate(ids) if ids else np.empty(0, np.uint32)
        return flat, np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)

    def _checked(
        self, ids: NDArray[Any], offsets: NDArray[np.int64], file: Path, row: int
    ) -> NDArray[np.uint32]:
        largest = MAX_ID if self.max_id is None else self.max_id
        if len(ids) and (int(ids.min()) < 0 or int(ids.max()) > largest):
            at = int(np.argmax((ids < 0) | (ids > largest)))
            document = int(np.searchsorted(offsets, at, side="right")) - 1
            value = int(ids[at])
            raise CorpusError(
                f"token id {value:,} is {'negative' if value < 0 else 'out of range'}",
                facts={
                    "file": file,
                    "row": f"{row + document:,}, position {at - int(offsets[document]):,}",
                    "column": self.column,
                    "expected": f"0 to {largest:,}",
                    "found": f"{value:,}",
                },
                hint="check that the column holds token ids and, if given, that the tokenizer is "
                "the one that made them",
            )
        return ids.astype(np.uint32, copy=False)


def _load_tokenizer(path: Path) -> "Tokenizer":
    from tokenizers import Tokenizer

    try:
        model = Tokenizer.from_str(path.read_text(encoding="utf-8"))
    except Exception as error:  # tokenizers raises bare Exception
        raise ConfigError(
            f"cannot read tokenizer {path}: {error}", hint="name a tokenizer.json with --tokenizer"
        ) from error
    model.no_padding()
    model.no_truncation()
    return model


def _text_groups(texts: pa.Array) -> Iterator[list[str]]:
    """Cut a batch of documents so that few characters are tokenised at a time."""
    group: list[str] = []
    characters = 0
    for text in texts.to_pylist():
        group.append(text or "")
        characters += len(group[-1])
        if characters >= BATCH_CHARACTERS:
            yield group
            group, characters = [], 0
    if group:
        yield group


def _lists(array: pa.Array, file: Path, row: int) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """Return values and offsets of a list array; slices and null lists are respected.

    `.values` is not used: it ignores both (spec/mining.md section 7).
    """
    if isinstance(array.type, pa.FixedSizeListType):
        size = array.type.list_size
        lengths = np.where(array.is_valid().to_numpy(zero_copy_only=False), size, 0)
    else:
        lengths = pc.fill_null(pc.list_value_length(array), 0).to_numpy(zero_copy_only=False)
    offsets = np.zeros(len(array) + 1, np.int64)
    np.cumsum(lengths, out=offsets[1:])
    values = array.flatten()
    if values.null_count:
        at = int(np.argmax(values.is_null().to_numpy(zero_copy_only=False)))
        document = int(np.searchsorted(offsets, at, side="right")) - 1
        raise CorpusError(
            f"a token id of {file.name} is null",
            facts={
                "file": file,
                "row": f"{row + document:,}, position {at - int(offsets[document]):,}",
            },
            hint="drop the nulls, or write an id for them, and mine again",
        )
    return values.to_numpy(zero_copy_only=True), offsets
