"""What each family calls its tables' tensors, with the prefixes that converters put before."""

import re
from collections.abc import Iterable

_NUMBER = r"(\d{1,5})"  # a layer, a shard, a table: names are a stranger's
PREFIX = r"(?:(?:model|language_model|text_model|module|base_model|transformer)\.){0,4}"
_WEIGHT = r"weight(?:_packed)?"
SCALES = ("scale", "weight_scale", "weight_scale_inv")
"""The last part of the name of a table's scales; all three are factors."""
WHOLE_SCALE = "weight_scale_2"
_STEMS = {
    "deepseek-v41": rf"({PREFIX}layers\.{_NUMBER}\.engram\.embed)",
    "qwen-ple": rf"((.*\blayers\.{_NUMBER}\..*ngram_embedding)(?:\.(shard_|shards\.){_NUMBER})?)",
    "longcat": rf"({PREFIX}(?:ngram_embeddings\.embedders\.|oe_embed_tokens){_NUMBER})",
    "over-encoding": rf"({PREFIX}oe_embeddings\.{_NUMBER})",
}
WEIGHTS = {family: re.compile(rf"{stem}\.{_WEIGHT}", re.ASCII) for family, stem in _STEMS.items()}
_PARTS = {
    family: re.compile(rf"{stem}\.(?:{_WEIGHT}|{'|'.join((*SCALES, WHOLE_SCALE))})", re.ASCII)
    for family, stem in _STEMS.items()
}


def find_family(names: Iterable[str]) -> str | None:
    """Return the family whose tables are among tensors of these names, or None."""
    names = list(names)
    for family, pattern in WEIGHTS.items():
        if any(pattern.fullmatch(name) for name in names):
            return family
    return None


def is_part_of(family: str | None, name: str) -> bool:
    """Tell whether a tensor of this name is values or scales of a family's tables."""
    return family is not None and _PARTS[family].fullmatch(name) is not None
