"""Read a tokenizer file and build its token map; what identifies a map and a vocabulary."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xxhash
from numpy.typing import NDArray

from engramctl.errors import ConfigError, EngramError
from engramctl.storage.kinds.recognise import recognise
from engramctl.vocabulary.wrong_file import check_as_read, why_refused

MAX_TOKENIZER_BYTES = 256 << 20  # those of released models have up to 35 MB

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from engramctl.hashing.walk.token_map import Canonical

TOKENIZER = "tokenizer.json"


def load_token_map(path: Path) -> NDArray[np.int32]:
    """Build the token map of a `tokenizer.json`.

    Returns:
        int32 (num_ids,): canonical ids (Engram, arXiv 2601.07372, section 2.2).

    Raises:
        ConfigError: the file is missing or is not a tokenizer.
    """
    from engramctl.hashing import build_token_map

    tokenizer = load_tokenizer(path)
    with tokenizing(path):
        return build_token_map(tokenizer)


def load_canonical(path: Path) -> "Canonical":
    """Return a scheme's first step by the token map of a `tokenizer.json`, its vocabulary named.

    Raises:
        ConfigError: as `load_token_map`.
    """
    from engramctl.hashing.walk.token_map import Canonical, build_token_map

    tokenizer = load_tokenizer(path)
    with tokenizing(path):
        return Canonical.mapped(build_token_map(tokenizer), vocabulary_digest(tokenizer))


def load_tokenizer(path: Path) -> "Tokenizer":
    """Read a `tokenizer.json`.

    Raises:
        ConfigError: the file is missing or is not a tokenizer, or its added tokens have ids that
            the library does not give them.
    """
    from tokenizers import Tokenizer

    if not path.is_file():
        kind = recognise(path)
        if kind is not None:
            hint = "name the model's own tokenizer.json"
            raise ConfigError(f"{path} {kind.says}, not a tokenizer file", hint=hint)
        raise ConfigError(
            f"there is no tokenizer file {path}", hint="give the model's tokenizer.json"
        )
    if path.stat().st_size > MAX_TOKENIZER_BYTES:
        raise ConfigError(
            f"{path} is larger than any tokenizer",
            facts={"expected": f"at most {MAX_TOKENIZER_BYTES:,} bytes"},
        )
    with tokenizing(path):
        tokenizer = Tokenizer.from_file(str(path))
        check_as_read(path, tokenizer)
    return tokenizer


@contextmanager
def tokenizing(path: Path) -> Iterator[None]:
    """Turn what the library raises over a tokenizer into an error that names its file.

    It raises bare Exceptions, and where its Rust panics what is no Exception at all.

    Raises:
        ConfigError: it raised.
    """
    try:
        yield
    except (EngramError, MemoryError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        kind = recognise(path)
        if kind is not None and kind.name not in ("tokenizer", "JSON list"):
            raise ConfigError(f"{path} {kind.says}, not a tokenizer", hint=kind.hint) from error
        why, hint = why_refused(path, str(error)[:300])
        raise ConfigError(
            f"{path} is not a tokenizer file that can be used: {why}", hint=hint
        ) from error


def largest_token_id(tokenizer: "Tokenizer") -> int:
    """Return the largest id of any token, added ones too; 0 where there is none."""
    return max(tokenizer.get_vocab(with_added_tokens=True).values(), default=0)


def vocabulary_digest(tokenizer: "Tokenizer") -> str:
    """Return the xxh3-128 of what every id stands for, in hex: one id, one token, always.

    Of every token, added ones too, in order of ids: id and length in bytes as little-endian uint32,
    then the token's own text as UTF-8. So two files of one vocabulary have one digest.
    """
    digest = xxhash.xxh3_128()
    vocabulary = tokenizer.get_vocab(with_added_tokens=True)
    for token, token_id in sorted(vocabulary.items(), key=lambda one: one[1]):
        text = token.encode()
        digest.update(struct.pack("<II", token_id, len(text)) + text)
    return digest.hexdigest()


def map_fingerprint(canonical: "Canonical") -> str | None:
    """Return the xxh3-128 of a token map as little-endian int32, in hex; None where there is none.

    Counts carry it (`token_map_xxh3_128`): their ids are canonical ids of this map.
    """
    if canonical.token_map is None:
        return None
    return xxhash.xxh3_128_hexdigest(canonical.token_map.astype("<i4").tobytes())
