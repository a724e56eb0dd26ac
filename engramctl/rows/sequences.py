"""Sequences of token ids, one at a time: JSON lines or Parquet, every id checked once."""

import json
import os
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import ConfigError, CorpusError
from engramctl.hashing import Lookup
from engramctl.hashing.walk.window import DEAD
from engramctl.sources import rule
from engramctl.storage.files.atomic import os_errors
from engramctl.storage.kinds.recognise import recognise

_KEYS = {"token_ids", "history"}


@dataclass(frozen=True)
class TokenSequence:
    """Token ids to hash, and those that came before.

    Attributes:
        token_ids: int64 (T,); DEAD (-1) is a masked token.
        history: int64 (C,), oldest first, or None: the sequence starts here.
    """

    token_ids: NDArray[np.int64]
    history: NDArray[np.int64] | None = None

    def row_ids(self, scheme: Lookup, layer: int) -> NDArray[Any]:
        """Return the rows of every position, integers (T, H)."""
        if not len(self.token_ids):
            return np.empty((0, scheme.num_heads), np.int64)
        rows: NDArray[Any] = scheme.row_ids(self.token_ids, layer, history=self.history)
        return rows


def is_parquet(path: Path) -> bool:
    """Whether a name means Parquet: `*.parquet`, a folder, or a pattern that is no file's name."""
    if rule.is_parquet(path.name) or os.path.isdir(path):
        return True
    return rule.is_pattern(str(path)) and not os.path.lexists(path)


@contextmanager
def open_sequences(
    source: Path | None,
    scheme: Lookup,
    column: str | None,
    tokenizer: Path | None,
    note: Callable[[str], None],
) -> Iterator[Iterator[TokenSequence]]:
    """Open the input, whatever it is.

    Args:
        source: Parquet or JSON lines; None and `-` are stdin, JSON lines.
        scheme: bounds the ids.
        column: of Parquet.
        tokenizer: of a Parquet column of text.
        note: told what is left out.

    Raises:
        ConfigError: a column of JSON lines.
        CorpusError: the input cannot be read; raised as sequences are taken, too.
    """
    if source is not None and is_parquet(source):
        yield parquet_sequences(source, scheme, column, tokenizer, note)
    elif column is not None:
        raise ConfigError("--column names a Parquet column; the input is JSON lines")
    elif source is None or str(source) == "-":
        yield json_sequences(sys.stdin.buffer, "stdin", scheme)
    else:
        _refuse_another_kind(source)
        with os_errors("read", source):
            file = source.open("rb")
        with file:
            yield json_sequences(file, str(source), scheme)


def _refuse_another_kind(source: Path) -> None:
    """Refuse a file that cannot be JSON lines; a pipe is read like any."""
    kind = recognise(source) if source.is_file() else None
    if kind is not None and kind.name not in ("JSON list", "token ids", "empty file"):
        raise CorpusError(
            f"{source} {kind.says}, not token ids",
            facts={"expected": "JSON lines of token ids, or Parquet", "found": kind.name},
            hint=kind.hint,
        )


def layer_rows(
    sequences: Iterable[TokenSequence], scheme: Lookup, layers: tuple[int, ...]
) -> Iterator[dict[int, NDArray[Any]]]:
    """Map every sequence: layer -> row ids, integers (T, H)."""
    for sequence in sequences:
        yield {layer: sequence.row_ids(scheme, layer) for layer in layers}


def parquet_sequences(
    path: Path,
    scheme: Lookup,
    column: str | None = None,
    tokenizer: Path | None = None,
    note: Callable[[str], None] | None = None,
) -> Iterator[TokenSequence]:
    """Read documents of a Parquet corpus; a document is one sequence.

    Args:
        path: a name, as `engramctl.corpus.corpus.Corpus.open` takes it, like what follows.
        scheme: bounds the ids.
        column: what is read.
        tokenizer: of a column of text.
        note: told what is left out.

    Raises:
        CorpusError: no such file or column, broken data, ids outside the scheme's vocabulary.
    """
    from engramctl.corpus.corpus import Corpus

    corpus = Corpus.open([path], column, tokenizer, vocab_size=scheme.vocab_size, note=note)
    for batch in corpus.batches():
        for start, end in zip(batch.offsets[:-1], batch.offsets[1:], strict=True):
            yield TokenSequence(batch.ids[start:end].astype(np.int64))


def json_sequences(lines: Iterable[bytes], name: str, scheme: Lookup) -> Iterator[TokenSequence]:
    """Read JSON lines: a list of ids, or `{"token_ids": [..], "history": [..]}`.

    Empty lines are left out.

    Args:
        lines: the file, line by line.
        name: what to call it in errors.
        scheme: bounds the ids; -1 is taken where the scheme knows masked tokens.

    Raises:
        CorpusError: broken JSON, other content, or an id outside the vocabulary; names the line.
    """
    for number, line in enumerate(lines, 1):
        if line.strip():
            place = f"line {number:,}"
            record = parse_line(line, name, place)
            if isinstance(record, list):
                record = {"token_ids": record}
            unknown = sorted(set(record) - _KEYS) if isinstance(record, dict) else []
            if not isinstance(record, dict) or "token_ids" not in record or unknown:
                found = f"the key {ascii(unknown[0])[:80]}" if unknown else _kind(record)
                raise CorpusError(
                    f"{name}, {place}: not a sequence of token ids",
                    facts={"expected": '[1, 2] or {"token_ids": [1, 2], "history": []}',
                           "found": found},
                )  # fmt: skip
            ids = _ids(record["token_ids"], scheme, name, f"{place}, token_ids")
            past = record.get("history")
            yield TokenSequence(
                ids, None if past is None else _ids(past, scheme, name, f"{place}, history")
            )


def parse_line(line: bytes, name: str, place: str) -> Any:
    """Parse one line of JSON.

    Raises:
        CorpusError: it is not JSON; the line and the character are named.
    """
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise CorpusError(
            f"{name}, {place}: not valid JSON",
            facts={"found": str(error)[:200]},
            hint="write one JSON list of token ids a line",
        ) from error


def chained(sequences: Iterable[TokenSequence], context: int) -> Iterator[TokenSequence]:
    """Read sequences as chunks of one: each has the last `context` ids before it as history.

    Raises:
        ConfigError: a sequence brings a history of its own.
    """
    past = np.empty(0, np.int64)
    for number, sequence in enumerate(sequences):
        if sequence.history is not None:
            raise ConfigError(
                f"sequence {number} has a history of its own",
                hint="leave out --history, or leave the key out of the input",
            )
        yield replace(sequence, history=past)
        past = np.concatenate([past, sequence.token_ids[-context:]])[-context:]


def _kind(value: object) -> str:
    names = {dict: "an object without token_ids", str: "a string", type(None): "null"}
    return names.get(type(value), "a number")


def _shown(value: object) -> str:
    """Return a value in short; of one that may be nested as deep as JSON can be, its kind."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return ascii(value)[:80]


def _ids(values: object, scheme: Lookup, name: str, place: str) -> NDArray[np.int64]:
    """Check one list, in one pass when it is right."""
    if not isinstance(values, list):
        raise CorpusError(f"{name}, {place}: not a list", facts={"found": _shown(values)})
    lowest = 0 if scheme.boundary.negative == "refuse" else DEAD
    if set(map(type, values)) <= {int} and (
        not values or (min(values) >= lowest and max(values) < scheme.vocab_size)
    ):
        return np.array(values, np.int64)
    for position, value in enumerate(values):
        if type(value) is not int:
            raise CorpusError(
                f"{name}, {place}, position {position:,}: not an integer",
                facts={"found": _shown(value)},
            )
        if not lowest <= value < scheme.vocab_size:
            masked = ", or -1 for a masked token" if lowest < 0 else ""
            raise CorpusError(
                f"{name}, {place}, position {position:,}: the token id is outside the vocabulary",
                facts={
                    "expected": f"0 to {scheme.vocab_size - 1:,}{masked}",
                    "found": str(value)[:80],
                },
                hint="check that the scheme (--scheme, --tokenizer) is the model's",
            )
    raise AssertionError("one of the values is wrong")
