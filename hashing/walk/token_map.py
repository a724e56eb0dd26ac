"""Token map: tokenizer ids -> canonical ids (the paper's tokenizer compression).

Tokens whose text is equal after normalisation share one canonical id, so that `The`, ` the` and
`THE` read the same rows. Source: Engram, arXiv 2601.07372, section 2.2 and its demo code.
"""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import ConfigError
from engramctl.hashing.walk.packed import pack, unpack

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from tokenizers.normalizers import Normalizer

MAX_IDS = 2**24  # of a map: 64 MiB; a document of some bytes must not ask for more
MAX_VOCABULARY = 2**62  # of ids that are kept as they are; sums of them stay in 64 bits
PACKED = "ids_zlib_base64"
_DIGEST = re.compile("[0-9a-f]{32}")
_SENTINEL = "\ue000"
_REPLACEMENT = "\ufffd"


def normalizer() -> "Normalizer":
    """Return the normaliser of Engram's demo code, from the `tokenizers` library.

    Example:
        >>> normalizer().normalize_str("  Thé ")
        'the'
    """
    from tokenizers import Regex, normalizers

    return normalizers.Sequence(
        [
            normalizers.NFKC(),
            normalizers.NFD(),
            normalizers.StripAccents(),
            normalizers.Lowercase(),
            normalizers.Replace(Regex(r"[ \t\r\n]+"), " "),
            normalizers.Replace(Regex(r"^ $"), _SENTINEL),
            normalizers.Strip(),
            normalizers.Replace(_SENTINEL, " "),
        ]
    )


def build_token_map(tokenizer: "Tokenizer") -> NDArray[np.int32]:
    """Build the map from every token id (added tokens too) to its canonical id.

    Ids are in first-seen order. A token that is a part of a UTF-8 character keeps its raw string as
    the key; a text that normalises to nothing keeps itself.

    Args:
        tokenizer: the raw `tokenizers.Tokenizer`, without clean-up of spaces.

    Returns:
        int32 (num_ids,): canonical ids, dense from 0.

    Raises:
        ConfigError: the tokenizer has no tokens, or ids with holes.
    """
    normalise = normalizer().normalize_str
    num_ids = tokenizer.get_vocab_size(with_added_tokens=True)
    if num_ids == 0:
        raise ConfigError("the tokenizer has no tokens")
    canonical: dict[str, int] = {}
    token_map = np.empty(num_ids, dtype=np.int32)
    for token_id in range(num_ids):
        raw = tokenizer.id_to_token(token_id)
        if raw is None:
            largest = max(tokenizer.get_vocab(with_added_tokens=True).values())
            raise ConfigError(
                f"the tokenizer has {num_ids:,} tokens but no id {token_id}: its ids have holes",
                facts={"expected": f"ids 0 to {num_ids - 1:,}", "found": f"ids up to {largest:,}"},
                hint="a token map needs a token for every id; name the model's own tokenizer.json",
            )
        text = tokenizer.decode([token_id], skip_special_tokens=False)
        key = raw if _REPLACEMENT in text else normalise(text) or text
        token_map[token_id] = canonical.setdefault(key, len(canonical))
    return token_map


def map_digest(token_map: NDArray[np.int32]) -> str:
    """Return the SHA-256 of the map as little-endian int32, in hex."""
    return hashlib.sha256(token_map.astype("<i4").tobytes()).hexdigest()


@dataclass(frozen=True)
class Canonical:
    """The first step of every scheme: token id -> canonical id.

    Attributes:
        num_ids: token ids lie in [0, num_ids).
        num_canonical: canonical ids lie in [0, num_canonical).
        token_map: int32 (num_ids,), or None for the identity.
        zeroed: half-open ranges of token ids that read as 0, when the map is no more than that.
        vocabulary: digest of the vocabulary that the map was made from, 32 hexadecimal digits,
            where it is known (`engramctl.vocabulary.tokenizer_file.vocabulary_digest`).
        takes_canonical: the ids given are canonical ids already: there is a map, but not here.
    """

    num_ids: int
    num_canonical: int
    token_map: NDArray[np.int32] | None = None
    zeroed: tuple[tuple[int, int], ...] = ()
    vocabulary: str | None = None
    takes_canonical: bool = False

    @classmethod
    def identity(cls, num_ids: int) -> "Canonical":
        """Keep every id; `num_ids` of them."""
        if not 1 <= num_ids <= MAX_VOCABULARY:
            raise ConfigError(
                f"a vocabulary cannot have {num_ids:,} ids",
                facts={"expected": f"1 to {MAX_VOCABULARY:,}"},
            )
        return cls(num_ids, num_ids)

    @classmethod
    def of_canonical_ids(cls, num_canonical: int) -> "Canonical":
        """Take canonical ids of a token map that is not known."""
        return replace(cls.identity(num_canonical), takes_canonical=True)

    @classmethod
    def mapped(
        cls, token_map: NDArray[np.integer[Any]], vocabulary: str | None = None
    ) -> "Canonical":
        """Use a token map.

        Raises:
            ConfigError: not a flat array of ids, negative ids, or no digest of a vocabulary.
        """
        if vocabulary is not None and not _DIGEST.fullmatch(vocabulary):
            raise ConfigError(
                "a token map's vocabulary_xxh3_128 must be 32 hexadecimal digits",
                facts={"found": ascii(vocabulary)[:80]},
            )
        given = np.asarray(token_map)
        fits = given.ndim == 1 and 1 <= given.size <= MAX_IDS
        if not fits or not 0 <= int(given.min()) <= int(given.max()) < 2**31:
            raise ConfigError(
                f"a token map must be a flat array of 1 to {MAX_IDS:,} ids in [0, 2^31)"
            )
        flat = np.ascontiguousarray(given, dtype=np.int32)
        return cls(len(flat), int(flat.max()) + 1, flat, vocabulary=vocabulary)

    @classmethod
    def specials_to_zero(cls, num_ids: int, zeroed: Iterable[Sequence[int]]) -> "Canonical":
        """Keep every id but the given ones, which read as 0 (LongCat).

        Args:
            num_ids: token ids lie in [0, num_ids).
            zeroed: half-open ranges (first, stop) of token ids.

        Raises:
            ConfigError: no ids, or a range outside them.
        """
        ranges = tuple((int(first), int(stop)) for first, stop in zeroed)
        if not 1 <= num_ids <= MAX_IDS:
            raise ConfigError(f"a vocabulary of {num_ids:,} ids cannot be mapped")
        open_ranges = np.zeros(num_ids + 1, np.int32)  # those that begin less those that end
        for first, stop in ranges:
            if not 0 <= first < stop <= num_ids:
                raise ConfigError(
                    f"special ids {first}:{stop} are outside the vocabulary of {num_ids:,} ids"
                )
            open_ranges[first] += 1
            open_ranges[stop] -= 1
        token_map = np.arange(num_ids, dtype=np.int32)
        token_map[np.cumsum(open_ranges[:-1]) > 0] = 0
        return cls(num_ids, int(token_map.max()) + 1, token_map, ranges)

    @property
    def kind(self) -> str:
        """What the step is: `identity`, `map`, `zeroed`, or `canonical` ids taken as they are."""
        if self.takes_canonical:
            return "canonical"
        if self.zeroed:
            return "zeroed"
        return "identity" if self.token_map is None else "map"

    def of(self, token_id: int) -> int:
        """Return one canonical id."""
        return token_id if self.token_map is None else int(self.token_map[token_id])

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form; a map is zlib-packed little-endian int32 in base64."""
        document = self.facts()
        if document["kind"] == "map":
            assert self.token_map is not None
            document[PACKED] = pack(self.token_map.astype("<i4").tobytes())
        return document

    def facts(self) -> dict[str, Any]:
        """Return the JSON form without a map's ids, of which it has the digest.

        Another zlib packs the same ids in other bytes, so this is what documents are compared by.
        """
        document: dict[str, Any] = {
            "kind": self.kind,
            "num_ids": self.num_ids,
            "num_canonical": self.num_canonical,
        }
        if self.zeroed:
            document["zeroed"] = [list(ids) for ids in self.zeroed]
        elif self.token_map is not None:
            document["sha256"] = map_digest(self.token_map)
            if self.vocabulary is not None:
                document["vocabulary_xxh3_128"] = self.vocabulary
        return document

    @classmethod
    def from_dict(cls, document: dict[str, Any]) -> "Canonical":
        """Read the JSON form and check it against its own digest.

        Raises:
            ConfigError: unknown kind, a map that does not unpack to `num_ids` ids, or another
                digest than stated.
        """
        if document["kind"] == "identity":
            return cls.identity(int(document["num_ids"]))
        if document["kind"] == "canonical":
            return cls.of_canonical_ids(int(document["num_ids"]))
        if document["kind"] == "zeroed":
            return cls.specials_to_zero(int(document["num_ids"]), document["zeroed"])
        if document["kind"] != "map":
            raise ConfigError(f"unknown kind of token map '{document['kind']}'")
        num_ids = int(document["num_ids"])
        if not 1 <= num_ids <= MAX_IDS:
            raise ConfigError(
                f"a token map of {num_ids:,} ids cannot be",
                facts={"expected": f"1 to {MAX_IDS:,} ids"},
            )
        data = unpack(document[PACKED], 4 * num_ids, "the scheme's token map")
        made = cls.mapped(np.frombuffer(data, dtype="<i4"), document.get("vocabulary_xxh3_128"))
        assert made.token_map is not None
        for name, found in (
            ("sha256", map_digest(made.token_map)),
            ("num_canonical", made.num_canonical),
        ):
            if found != document[name]:
                raise ConfigError(
                    f"the scheme's token map does not match its {name}",
                    facts={"expected": document[name], "found": found},
                )
        return made
