"""What a file is that the tokenizers library does not take, or takes otherwise than it reads."""

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from engramctl.errors import ConfigError, EngramError
from engramctl.storage.files.strict_json import load_json, read_limited

if TYPE_CHECKING:
    from tokenizers import Tokenizer

OWN = "name the model's own tokenizer.json"
_PARTS = ("normalizer", "pre_tokenizer", "post_processor", "decoder")
_WORDS = ("vocab", "merges")
_OLDER = ("add_prefix_space", "str_rep")  # read, and written under other names today
_MOST_PARSED = 1 << 26


def why_refused(path: Path, found: str) -> tuple[str, str]:
    """Return in words what a refused file is, and what to do; see `recognise` for what comes first.

    Args:
        path: of the file.
        found: what the library says of it.
    """
    try:
        with path.open("rb") as file:
            begin = file.read(1 << 10)
    except OSError as error:
        return str(error.strerror), OWN
    if begin.lstrip()[:1] != b"{":
        return f"it is no JSON object: {found}", f"{OWN}, not a SentencePiece or tiktoken model"
    return _why_not_this_object(path, found)


def _why_not_this_object(path: Path, found: str) -> tuple[str, str]:
    try:
        document = load_json(read_limited(path, _MOST_PARSED))
    except (EngramError, ValueError):
        return found, OWN
    if "model" in document and "version" in document:
        return (
            f"tokenizers {_version()} does not read it: {found}",
            "it may be of a newer release: pip install -U tokenizers; else " + OWN,
        )
    if "tokenizer_class" in document:
        return f"it is the settings of a tokenizer, without its vocabulary: {found}", OWN
    if document and all(type(one) is int for one in document.values()):
        return f"it is a vocabulary without its rules: {found}", OWN
    return found, OWN


def check_as_read(path: Path, tokenizer: "Tokenizer") -> None:
    """Refuse a file that the library takes, but not as it stands there.

    The library numbers an added token after all others when its id leaves a hole, or is taken; ids
    made elsewhere are those of the file. And it passes over settings that it does not know.

    Raises:
        ConfigError: so it is; the first such token or setting is named.
    """
    document = json.loads(path.read_bytes())
    _check_added_tokens(path, document.get("added_tokens") or (), tokenizer)
    for part in ("model", *_PARTS):
        made = getattr(tokenizer, part)
        if made is not None and isinstance(document.get(part), dict):
            known = json.loads(_without_words(made) if part == "model" else made.__getstate__())
            for name in _unknown(document[part], known, part):
                raise ConfigError(
                    f"{path} has a setting that tokenizers {_version()} does not know: {name}",
                    hint="the file may be of a newer release: pip install -U tokenizers",
                )


def _check_added_tokens(path: Path, added: Iterable[Any], tokenizer: "Tokenizer") -> None:
    for one in added:
        content, stated = one["content"], one["id"]
        given = tokenizer.token_to_id(content)
        if given != stated:
            raise ConfigError(
                f"{path} gives an added token an id that the tokenizers library does not",
                facts={
                    "token": ascii(content)[:80],
                    "expected": f"id {stated}, as the file says",
                    "found": f"id {given}: the file's ids leave a hole before it, or use it twice",
                },
                hint="mend its added_tokens: ids without holes, after those of its model",
            )


def _without_words(model: Any) -> bytes:
    """Return an empty model of the same kind as JSON: the settings that the library knows."""
    from tokenizers import models

    made = getattr(models, type(model).__name__)()
    return cast(bytes, made.__getstate__())


def _unknown(given: Any, known: Any, place: str) -> Iterator[str]:
    """Give the settings of a file that are on, and not among those that were read."""
    if isinstance(given, dict) and isinstance(known, dict):
        for name, value in given.items():
            if name in known:
                if name not in _WORDS:
                    yield from _unknown(value, known[name], f"{place}.{name}")
            elif value and name not in _OLDER:
                yield f"{place}.{name}"
    elif isinstance(given, list) and isinstance(known, list):
        for number, (one, other) in enumerate(zip(given, known, strict=False)):
            yield from _unknown(one, other, f"{place}[{number}]")


def _version() -> str:
    from tokenizers import __version__

    return __version__
