"""Do a tokenizer, counts, a scheme and tables belong together? Every command asks here.

One token id is another token to another tokenizer, so rows, counts and text of two tokenizers mixed
look right and are wrong. Each of them says what it knows of its tokenizer; what only one side
knows is not compared: counts of a column of ids name no tokenizer, older tables only a token map.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engramctl.errors import ConfigError, CorpusError, EngramError
from engramctl.hashing.walk.token_map import Canonical
from engramctl.storage.files.checksum import file_digest
from engramctl.vocabulary.tokenizer_file import (
    load_canonical,
    load_tokenizer,
    map_fingerprint,
    tokenizing,
    vocabulary_digest,
)

_WORDS = {"vocabulary": "vocabulary", "tokenizer_file": "tokenizer file", "token_map": "token map"}


@dataclass(frozen=True)
class Fingerprints:
    """What something knows of its tokenizer; None: nothing.

    Attributes:
        what: the thing itself, in words for a message.
        vocabulary: `vocabulary_digest`.
        tokenizer_file: xxh3-128 of its tokenizer.json; files of one vocabulary may differ in it.
        token_map: `map_fingerprint`.
    """

    what: str
    vocabulary: str | None = None
    tokenizer_file: str | None = None
    token_map: str | None = None

    def differs(self, other: "Fingerprints") -> str | None:
        """Return the name of what shows that two things are of different tokenizers, or None."""
        for name in ("vocabulary", "tokenizer_file"):
            if None not in (ours := getattr(self, name), theirs := getattr(other, name)):
                if ours != theirs:
                    return name
                break  # one vocabulary in two files is one tokenizer
        maps = (self.token_map, other.token_map)
        return "token_map" if None not in maps and maps[0] != maps[1] else None


def of_tokenizer(path: Path) -> Fingerprints:
    """Return what a tokenizer.json says, but its token map, which takes longer to make.

    Raises:
        ConfigError: it is missing or no tokenizer.
    """
    tokenizer = load_tokenizer(path)
    with tokenizing(path):
        vocabulary = vocabulary_digest(tokenizer)
    return Fingerprints(f"the tokenizer {path}", vocabulary, file_digest(path))


def of_scheme(canonical: Canonical, what: str) -> Fingerprints:
    """Return what a scheme says by its first step; `what` names the scheme, or whose it is."""
    token_map = map_fingerprint(canonical) if canonical.kind == "map" else None
    return Fingerprints(what, canonical.vocabulary, token_map=token_map)


def of_counts(counts: Path, manifest: Mapping[str, Any]) -> Fingerprints:
    """Return what the manifest of a counts folder says."""
    scheme = manifest.get("scheme")
    step = scheme.get("canonical") if isinstance(scheme, dict) else None
    names = ("vocabulary_xxh3_128", "tokenizer_xxh3_128", "token_map_xxh3_128")
    vocabulary, *others = (manifest.get(name) for name in names)
    if vocabulary is None and isinstance(step, dict):
        vocabulary = step.get(names[0])
    return Fingerprints(f"the folder of counts {counts}", vocabulary, *others)


def check_same(
    wanted: Fingerprints, found: Fingerprints, hint: str, error: type[EngramError] = ConfigError
) -> None:
    """Refuse two things of different tokenizers.

    Raises:
        EngramError: of the class given; names both, and what differs.
    """
    name = wanted.differs(found)
    if name is not None:
        raise error(
            f"{found.what} has another {_WORDS[name]} than {wanted.what}",
            facts={"expected": getattr(wanted, name), "found": getattr(found, name)},
            hint=hint,
        )


def check_tokenizer(tokenizer: Path, wanted: Fingerprints) -> None:
    """Refuse a tokenizer.json that something was not made with.

    Raises:
        ConfigError: it is another one, or no tokenizer.
    """
    found = of_tokenizer(tokenizer)
    if wanted.token_map is not None:
        found = replace(found, token_map=map_fingerprint(load_canonical(tokenizer)))
    check_same(wanted, found, f"name the tokenizer.json that {wanted.what} was made with")


def counts_are_canonical(
    canonical: Canonical, what: str, counts: Path, manifest: Mapping[str, Any]
) -> bool:
    """Say whether counts hold canonical ids of a scheme, and refuse those it cannot read.

    Args:
        canonical: the scheme's first step.
        what: the scheme, or whose it is.
        counts: a counts folder.
        manifest: its manifest.

    Raises:
        CorpusError: counts of another tokenizer or token map.
        ConfigError: the scheme takes canonical ids, and the counts are of token ids.
    """
    found = of_counts(counts, manifest)
    hint = "mine again: engramctl mine ... --tokenizer, the one that the scheme is for"
    check_same(of_scheme(canonical, what), found, hint, CorpusError)
    if found.token_map is None:
        if canonical.takes_canonical:
            raise ConfigError(
                f"{what} takes canonical ids, and {found.what} is of token ids",
                hint="name the model's tokenizer.json with --tokenizer",
            )
        return False
    if not canonical.takes_canonical and map_fingerprint(canonical) != found.token_map:
        raise CorpusError(
            f"{found.what} has another token map than {what}",
            facts={"expected": map_fingerprint(canonical), "found": found.token_map},
            hint="name the tokenizer they were mined with: --tokenizer, or mine without --scheme",
        )
    return True
