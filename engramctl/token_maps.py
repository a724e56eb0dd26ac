"""Read a tokenizer file and build its token map; what identifies a map."""

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xxhash
from numpy.typing import NDArray

from engramctl.errors import ConfigError

MAX_TOKENIZER_BYTES = 256 << 20  # those of released models have up to 35 MB

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from engramctl.hashing.token_map import Canonical


def load_token_map(path: Path) -> NDArray[np.int32]:
    """Build the token map of a `tokenizer.json`.

    Returns:
        int32 (num_ids,): canonical ids (spec/engram-paper.md section 1.1).

    Raises:
        ConfigError: the file is missing or is not a tokenizer.
    """
    from engramctl.hashing import build_token_map

    return build_token_map(load_tokenizer(path))


def load_tokenizer(path: Path) -> "Tokenizer":
    """Read a `tokenizer.json`.

    Raises:
        ConfigError: the file is missing or is not a tokenizer.
    """
    from tokenizers import Tokenizer

    if not path.is_file():
        raise ConfigError(
            f"there is no tokenizer file {path}", hint="give the model's tokenizer.json"
        )
    if path.stat().st_size > MAX_TOKENIZER_BYTES:
        raise ConfigError(
            f"{path} is larger than any tokenizer",
            facts={"expected": f"at most {MAX_TOKENIZER_BYTES:,} bytes"},
        )
    try:
        return Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise ConfigError(f"{path} is not a tokenizer file: {error}") from error


def map_fingerprint(canonical: "Canonical") -> str | None:
    """Return the xxh3-128 of a token map as little-endian int32, in hex; None for the identity.

    Counts carry it (`token_map_xxh3_128`): their ids are canonical ids of this map.
    """
    if canonical.token_map is None:
        return None
    return xxhash.xxh3_128_hexdigest(canonical.token_map.astype("<i4").tobytes())
