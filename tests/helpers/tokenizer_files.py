"""Small byte-level tokenizers: 256 bytes, and a token for every merge."""

import json
from collections.abc import Sequence
from pathlib import Path

from tokenizers import Tokenizer, decoders, models, pre_tokenizers

Merges = Sequence[tuple[str, str]]

OURS: Merges = [("a", "b"), ("a", "B"), ("c", "d"), ("c", "e")]
OTHER_MAP: Merges = [("c", "d"), ("c", "e"), ("a", "b"), ("a", "B")]
OTHER_VOCABULARY: Merges = [("a", "b"), ("a", "B"), ("c", "e"), ("c", "d")]
"""Its token map is that of OURS: `ab` and `aB` are one, and all others are themselves."""


def write_tokenizer(path: Path, merges: Merges, *, indent: int | None = None) -> Path:
    """Write a tokenizer.json; with `indent` the same one in other bytes."""
    words = sorted(pre_tokenizers.ByteLevel.alphabet()) + [first + last for first, last in merges]
    vocabulary = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.BPE(vocabulary, list(merges)))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    path.write_text(json.dumps(json.loads(tokenizer.to_str()), indent=indent), encoding="utf-8")
    return path
