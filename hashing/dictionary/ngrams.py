"""The n-grams of a dictionary, in row order, as flat arrays."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import ConfigError
from engramctl.hashing.walk.packed import pack, unpack

MAX_NGRAMS = 2**24
MAX_IDS = 2**27  # ids of all n-grams together: 512 MiB of int32
IDS_A_CHARACTER = 8  # of the packed text, at most: a short text shall not ask for much memory
_ZLIB_LEVEL = 5  # 9 takes 30 times as long for a few percent
_WHAT = "the scheme's n-gram list"


@dataclass(frozen=True, eq=False)
class NgramList:
    """N-grams of mixed lengths; the row of an n-gram is its place in the list.

    Attributes:
        lengths: uint8 (R,).
        ids: int32 (sum of lengths,), canonical ids >= 0, oldest first, n-gram after n-gram.

    Raises:
        ConfigError: arrays that do not fit each other, or too many n-grams.
    """

    lengths: NDArray[np.uint8]
    ids: NDArray[np.int32]

    def __post_init__(self) -> None:
        """Check the arrays against each other."""
        typed = self.lengths.dtype == np.uint8 and self.ids.dtype == np.int32
        if not typed or self.lengths.ndim != 1 or self.ids.ndim != 1:
            raise ConfigError(
                "n-grams must be flat arrays",
                facts={
                    "expected": "lengths uint8, ids int32",
                    "found": f"{self.lengths.dtype} {self.lengths.shape}, "
                    f"{self.ids.dtype} {self.ids.shape}",
                },
            )
        _check_size(len(self.lengths), len(self.ids))
        total = int(self.lengths.sum(dtype=np.int64))
        if total != len(self.ids):
            raise ConfigError(f"n-grams of {total:,} ids in all cannot have {len(self.ids):,} ids")

    @classmethod
    def of(cls, ngrams: Iterable[Sequence[int]]) -> "NgramList":
        """Make the list of plain sequences of canonical ids, oldest first.

        Raises:
            ConfigError: names the first n-gram that is no sequence of ids of 31 bits.

        Example:
            >>> NgramList.of([(5, 9), (7, 5, 9)]).lengths.tolist()
            [2, 3]
        """
        rows = [np.asarray(ngram) for ngram in ngrams]
        for rank, row in enumerate(rows):
            right = row.ndim == 1 and row.dtype.kind in "iu" and 0 < len(row) < 256
            if not right or int(row.min()) < 0 or int(row.max()) >= 2**31:
                raise ConfigError(
                    f"n-gram {rank:,} is no sequence of canonical ids",
                    facts={"found": repr(row.tolist())[:80]},
                    hint="give integers from 0 on, oldest first",
                )
        lengths = np.array([len(row) for row in rows], np.uint8)
        ids = np.concatenate([np.empty(0, np.int64), *rows]).astype(np.int32)
        return cls(lengths, ids)

    @classmethod
    def padded(cls, ids_RN: NDArray[np.int32], lengths: NDArray[np.integer[Any]]) -> "NgramList":
        """Make the list of rows (R, N) of which the first `lengths` columns count."""
        counts_RN = np.arange(ids_RN.shape[1]) < np.asarray(lengths)[:, None]
        return cls(lengths.astype(np.uint8), ids_RN[counts_RN])

    def __len__(self) -> int:
        """Return R, the number of n-grams."""
        return len(self.lengths)

    @cached_property
    def starts(self) -> NDArray[np.int64]:
        """Where each n-gram's ids begin, int64 (R,)."""
        return np.cumsum(self.lengths, dtype=np.int64) - self.lengths

    def __getitem__(self, rank: int) -> tuple[int, ...]:
        """Return one n-gram's ids, oldest first."""
        start = int(self.starts[rank])
        return tuple(self.ids[start : start + int(self.lengths[rank])].tolist())

    def of_order(self, order: int) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        """Return all n-grams of one length: their rows (M,), their ids (M, order)."""
        ranks = np.flatnonzero(self.lengths == order)
        return ranks, self.ids[self.starts[ranks][:, None] + np.arange(order)]

    def per_order(self, orders: Sequence[int]) -> list[int]:
        """Return how many n-grams each length has."""
        counts = np.bincount(self.lengths, minlength=256)
        return [int(counts[order]) for order in orders]

    def rank_of(self, ngram: Sequence[int]) -> int:
        """Return the row of an n-gram, or -1; reads the whole list, for explanations."""
        ranks, ids = self.of_order(len(ngram))
        hits = ranks[(ids == np.asarray(ngram)).all(axis=1)]
        return int(hits[0]) if len(hits) else -1

    def to_bytes(self) -> bytes:
        """Return lengths, then ids (<i4): what scheme.json packs."""
        return self.lengths.tobytes() + self.ids.astype("<i4").tobytes()

    def facts(self, orders: Sequence[int]) -> dict[str, Any]:
        """Return what follows from the list: numbers, and the SHA-256 of its bytes.

        The bytes are every length as uint8, then every id as little-endian int32.
        """
        return {
            "num_ngrams": len(self),
            "per_order": self.per_order(orders),
            "sha256": hashlib.sha256(self.to_bytes()).hexdigest(),
        }

    def packed(self) -> str:
        """Return the bytes as zlib in base64: no shorter than `unpacked` believes."""
        text = pack(self.to_bytes(), _ZLIB_LEVEL)
        return text if len(self.ids) <= IDS_A_CHARACTER * len(text) else pack(self.to_bytes(), 0)

    @classmethod
    def unpacked(cls, text: str, orders: Sequence[int], facts: dict[str, Any]) -> "NgramList":
        """Read what `packed` gave; `facts` bounds what is unpacked.

        Raises:
            ConfigError: a broken list, or one of another size than `facts` says.
        """
        num, per_order = int(facts["num_ngrams"]), [int(count) for count in facts["per_order"]]
        if len(per_order) != len(orders) or min([num, *per_order]) < 0 or num != sum(per_order):
            raise ConfigError(
                f"{_WHAT} contradicts itself: num_ngrams and per_order differ",
                facts={"num_ngrams": num, "per_order": per_order, "orders": list(orders)},
            )
        num_ids = sum(order * count for order, count in zip(orders, per_order, strict=True))
        _check_size(num, num_ids)
        if num_ids > IDS_A_CHARACTER * len(text):
            raise ConfigError(
                f"{_WHAT} is packed into fewer characters than distinct n-grams are",
                facts={
                    "expected": f"{-(-num_ids // IDS_A_CHARACTER):,} at least",
                    "found": f"{len(text):,}",
                },
            )
        data = unpack(text, num + 4 * num_ids, _WHAT)
        lengths = np.frombuffer(data, np.uint8, num)
        return cls(lengths, np.frombuffer(data, "<i4", offset=num).astype(np.int32))


def _check_size(num_ngrams: int, num_ids: int) -> None:
    if num_ngrams > MAX_NGRAMS or num_ids > MAX_IDS:
        raise ConfigError(
            f"a dictionary of {num_ngrams:,} n-grams, {num_ids:,} ids in all, is too large",
            facts={"at most": f"{MAX_NGRAMS:,} n-grams, {MAX_IDS:,} ids"},
            hint="keep fewer n-grams",
        )
