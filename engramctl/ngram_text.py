"""What an n-gram of token ids says, where the tokenizer is known."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from engramctl.errors import ConfigError
from engramctl.hashing.token_map import Canonical
from engramctl.token_maps import load_token_map, load_tokenizer, map_fingerprint


def ngram_text(tokenizer: Path, map_digest: str | None) -> Callable[[Sequence[int]], str]:
    """Return what turns ids into text, quoted, with control characters escaped.

    Args:
        tokenizer: tokenizer.json.
        map_digest: `token_map_xxh3_128` of counts of canonical ids: each reads as the first token
            that shares it. None: ids are token ids.

    Raises:
        ConfigError: not a tokenizer, or not the one whose map the counts were mined with.
    """
    model = load_tokenizer(tokenizer)
    first: list[int] | None = None
    if map_digest is not None:
        token_map = load_token_map(tokenizer)
        found = map_fingerprint(Canonical.mapped(token_map))
        if found != map_digest:
            raise ConfigError(
                "the counts were mined with another token map than this tokenizer's",
                facts={"expected": map_digest, "found": found},
                hint="name the tokenizer.json that was given to: engramctl mine --scheme",
            )
        first = np.unique(token_map, return_index=True)[1].tolist()

    def text(ids: Sequence[int]) -> str:
        tokens = [first[token] for token in ids] if first is not None else list(ids)
        return repr(model.decode(tokens, skip_special_tokens=False))

    return text
