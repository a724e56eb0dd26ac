"""Parquet files -> batches of token ids, each value checked once, in bounded memory.

A corpus has one column of documents: lists of token ids in any integer list type, or text that a
`tokenizers` tokenizer.json turns into ids. A null list or a null text is an empty document.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from engramctl.corpus.arrays import flat_lists, text_groups
from engramctl.corpus.batch import TokenBatch
from engramctl.corpus.long_documents import long_pieces
from engramctl.corpus.parquet import (
    MAX_ID,
    column_size,
    largest_id,
    read_column,
    read_footer,
    reading,
    why_text,
)
from engramctl.corpus.usable_files import UsableFile, reason_of, refuse_none, usable_files
from engramctl.errors import ConfigError, CorpusError
from engramctl.sources.file import SourceFile
from engramctl.sources.find import find_files
from engramctl.vocabulary.tokenizer_file import largest_token_id, load_tokenizer, tokenizing

if TYPE_CHECKING:
    from tokenizers import Tokenizer

BATCH_TOKENS = 1 << 18  # aimed at
BATCH_DOCUMENTS = 512  # text documents that are tokenised at a time
Progress = Callable[[str, int | None, str], AbstractContextManager[Callable[[int], None]]]


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
        skipped: bad files and folders that were left out, each with the reason.
        why_text: why text is tokenised, in words; None: the column is of ids.
        id_bits: most bits of an id that a file's type has room for; None: not known, or text.
    """

    files: tuple[SourceFile, ...]
    column: str
    tokenizer_path: Path | None
    tokenizer: "Tokenizer | None"
    documents: int
    max_id: int | None
    tokens_hint: int
    skipped: tuple[tuple[SourceFile, str], ...] = ()
    why_text: str | None = None
    id_bits: int | None = None

    @classmethod
    def open(
        cls,
        names: Iterable[str | Path],
        column: str | None = None,
        tokenizer: Path | None = None,
        vocab_size: int | None = None,
        *,
        skip_bad_files: bool = False,
        progress: Progress | None = None,
        note: Callable[[str], None] | None = None,
    ) -> "Corpus":
        """Find the files and check that every one has the column, before any data is read.

        Args:
            names: files, folders and patterns, by `engramctl.sources.rule`.
            column: the column to read. Default: with a tokenizer `text`, then `input_ids`, then
                `token_ids`; without one only the last two.
            tokenizer: a tokenizer.json. For a column of ids it only bounds them.
            vocab_size: ids must be below it, where it is known.
            skip_bad_files: leave out files that cannot be used, and say so in `skipped`. Every
                file is decoded once to know it, since a file that breaks half way must not count
                by half.
            progress: as `Output.progress`, for that decoding.
            note: called with a line when files are left out by the rule, and when text is read
                though no column was named.

        Raises:
            CorpusError: no files, a file that is not Parquet, a missing or unusable column; with
                `skip_bad_files` only when no file is left.
            ConfigError: the tokenizer cannot be read, or text without a tokenizer.
        """
        model = _load_tokenizer(tokenizer) if tokenizer else None
        bounds = [vocab_size - 1] if vocab_size else []
        if model is not None:
            bounds.append(largest_token_id(model))
        found = find_files(names, skip_bad_files=skip_bad_files)
        if note is not None and found.left_out:
            note(found.left_out)
        skipped = [(file, reason_of(error)) for file, error in found.bad]
        usable = usable_files(found.files, column, model is not None, skip_bad_files, skipped)
        is_text = usable[0].kind == "text"
        if is_text and tokenizer is None:
            raise ConfigError(
                f"column '{usable[0].column}' holds text, which needs a tokenizer",
                hint="add --tokenizer tokenizer.json, or name a column of ids with --column",
            )

        why = None
        if is_text:
            with_rows = (one for one in usable if one.meta.num_rows)
            chosen = why_text(next(with_rows, usable[0]).meta.schema.to_arrow_schema())
            why = "named with --column" if column else chosen
            if note is not None and column is None:
                note(f"column '{usable[0].column}' is tokenised with {tokenizer}: {why}")

        def of(files: Sequence[UsableFile]) -> "Corpus":
            bound = min(bounds) if bounds else None
            if bound is None and not is_text:
                bound = largest_id([file.meta for file in files], files[0].column)
            return cls(
                files=tuple(file.file for file in files),
                column=files[0].column,
                tokenizer_path=tokenizer,
                tokenizer=model if is_text else None,
                documents=sum(file.meta.num_rows for file in files),
                max_id=bound,
                tokens_hint=sum(
                    column_size(file.meta, file.column, is_text=is_text) for file in files
                ),
                skipped=tuple(skipped),
                why_text=why,
                id_bits=max(filter(None, (one.id_bits for one in files)), default=None),
            )

        corpus = of(usable)
        if not skip_bad_files:
            return corpus
        good = []
        show = progress or (lambda title, total, unit: nullcontext(lambda amount: None))
        with show("checking files", len(usable), "files") as advance:
            for each in usable:
                try:
                    of([each])._decode()
                    good.append(each)
                except CorpusError as error:
                    skipped.append((each.file, reason_of(error)))
                advance(1)
        refuse_none(good, skipped)
        return of(good)

    def batches(
        self, progress: Callable[[int], None] | None = None, *, pieces: bool = False
    ) -> Iterator[TokenBatch]:
        """Read the corpus once, in order.

        Args:
            progress: called with the number of tokens of each batch.
            pieces: give documents of millions of ids in several batches, so that memory is bounded.

        Raises:
            CorpusError: broken data, null elements, or an id that is negative or above `max_id`.
        """
        for file in self.files:
            for batch in self.part(file, pieces=pieces):
                yield batch
                if progress is not None:
                    progress(len(batch.ids))

    def part(
        self, file: SourceFile, groups: range | None = None, *, pieces: bool = False
    ) -> Iterator[TokenBatch]:
        """Read one file, or some of its row groups.

        Args:
            file: one of the files.
            groups: row groups, consecutive; None: all.
            pieces: as `batches`.

        Raises:
            CorpusError: as `batches`.
        """
        meta = read_footer(file)
        if pieces and self.tokenizer is None and not file.is_remote:
            for group in groups or range(meta.num_row_groups):
                found = long_pieces(file, meta, group, self.column)
                if found is None:
                    yield from self.part(file, range(group, group + 1))
                    continue
                row = sum(meta.row_group(before).num_rows for before in range(group))
                for one in found:
                    ids = self._checked(one.ids, one.offsets, file, row + one.first, one.before)
                    yield TokenBatch(ids, one.offsets, one.before > 0, one.is_cut)
            return
        row = sum(meta.row_group(group).num_rows for group in range(groups.start if groups else 0))
        for array in self._arrays(file, groups):
            with reading(file):
                lists = (self._tokenise if self.tokenizer else flat_lists)(array, file, row)
                batch = TokenBatch(self._checked(*lists, file, row), lists[1])
            row += len(array)
            yield batch

    def bounded(self) -> "Corpus":
        """Return the same corpus with `max_id` known; reads it once where no statistics tell."""
        if self.max_id is not None:
            return self
        largest = max(
            (int(batch.ids.max(initial=0)) for batch in self.batches(pieces=True)), default=0
        )
        return replace(self, max_id=largest)

    def _arrays(self, file: SourceFile, groups: range | None = None) -> Iterator[pa.Array]:
        is_text = self.tokenizer is not None
        meta = read_footer(file)
        per_row = max(1, column_size(meta, self.column, is_text=is_text) // max(1, meta.num_rows))
        limit = BATCH_DOCUMENTS if is_text else 1 << 16
        rows = max(1, min(limit, BATCH_TOKENS // per_row))
        return read_column(file, self.column, rows, groups)

    def _decode(self) -> None:
        """Read everything and check what would be checked, but make no ids of text."""
        if self.tokenizer is None:
            for _ in self.batches(pieces=True):
                pass
            return
        for file in self.files:
            row = 0
            for array in self._arrays(file):
                with reading(file):
                    for _ in text_groups(array, file, row):
                        pass
                row += len(array)

    def _tokenise(
        self, texts: pa.Array, file: SourceFile, row: int
    ) -> tuple[NDArray[Any], NDArray[np.int64]]:
        assert self.tokenizer is not None
        ids: list[NDArray[np.uint32]] = []
        lengths: list[int] = []
        assert self.tokenizer_path is not None
        for group in text_groups(texts, file, row):
            with tokenizing(self.tokenizer_path):
                encodings = self.tokenizer.encode_batch_fast(group, add_special_tokens=False)
            for encoding in encodings:
                ids.append(np.array(encoding.ids, np.uint32))
                lengths.append(len(ids[-1]))
        flat = np.concatenate(ids) if ids else np.empty(0, np.uint32)
        return flat, np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)]).astype(np.int64)

    def _checked(
        self,
        ids: NDArray[Any],
        offsets: NDArray[np.int64],
        file: SourceFile,
        row: int,
        before: int = 0,
    ) -> NDArray[np.uint32]:
        largest = MAX_ID if self.max_id is None else self.max_id
        if len(ids) and (int(ids.min()) < 0 or int(ids.max()) > largest):
            at = int(np.argmax((ids < 0) | (ids > largest)))
            document = int(np.searchsorted(offsets, at, side="right")) - 1
            value = int(ids[at])
            place = at - int(offsets[document]) + (0 if document else before)
            raise CorpusError(
                f"token id {value:,} is {'negative' if value < 0 else 'out of range'}",
                facts={
                    "file": file,
                    "row": f"{row + document:,}, position {place:,}",
                    "column": self.column,
                    "expected": f"0 to {largest:,}",
                    "found": f"{value:,}",
                },
                hint="check that the column holds token ids and, if given, that the tokenizer is "
                "the one that made them",
            )
        return ids.astype(np.uint32, copy=False)


def _load_tokenizer(path: Path) -> "Tokenizer":
    model = load_tokenizer(path)
    with tokenizing(path):
        model.no_padding()
        model.no_truncation()
    return model
