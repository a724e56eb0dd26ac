"""Read a tokenizer file and build its token map."""

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import ConfigError


def load_token_map(path: Path) -> NDArray[np.int32]:
    """Build the token map of a `tokenizer.json`.

    Returns:
        int32 (num_ids,): canonical ids (spec/engram-paper.md section 1.1).

    Raises:
        ConfigError: the file is missing or is not a tokenizer.
    """
    from tokenizers import Tokenizer

    from engramctl.hashing import build_token_map

    if not path.is_file():
        raise ConfigError(
            f"there is no tokenizer file {path}", hint="give the model's tokenizer.json"
        )
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # the library raises bare Exception
        raise ConfigError(f"{path} is not a tokenizer file: {error}") from error
    return build_token_map(tokenizer)
