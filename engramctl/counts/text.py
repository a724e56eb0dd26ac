"""What an n-gram of token ids says, where the tokenizer is known."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from engramctl.vocabulary.fingerprints import Fingerprints, check_tokenizer
from engramctl.vocabulary.tokenizer_file import load_token_map, load_tokenizer, tokenizing


def ngram_text(tokenizer: Path, counts: Fingerprints) -> Callable[[Sequence[int]], str]:
    """Return what turns ids into text, quoted, with control characters escaped.

    Args:
        tokenizer: tokenizer.json.
        counts: whose n-grams they are. A canonical id reads as the first token that shares it.

    Raises:
        ConfigError: not a tokenizer, or not the one that the counts were mined with.
    """
    check_tokenizer(tokenizer, counts)
    model = load_tokenizer(tokenizer)
    first: list[int] | None = None
    if counts.token_map is not None:
        first = np.unique(load_token_map(tokenizer), return_index=True)[1].tolist()

    def text(ids: Sequence[int]) -> str:
        tokens = [first[token] for token in ids] if first is not None else list(ids)
        with tokenizing(tokenizer):
            return repr(model.decode(tokens, skip_special_tokens=False))

    return text
