"""What a scheme does to given n-grams: load, collisions, unreached slots, against pure chance.

Takes distinct n-grams with their counts, hashes each once, and compares every head with throwing
the same n-grams into the same slots at random. N-grams that read equal windows (the token map, or
a stop token among their ids) are one n-gram: they share their rows by intent.

Memory: 12 bytes a slot for the heads of one pass, and the n-grams of one part; more heads or
n-grams take more passes over the input (`MEMORY_BYTES`, `PART_NGRAMS`). A head's counts are dense
uint32: below 2^32 distinct n-grams a slot.
"""

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.hashing.diagnose.chance import CountHistogram
from engramctl.hashing.scheme.scheme import Scheme

MEMORY_BYTES = 1 << 29
PART_NGRAMS = 1 << 21
_SLOT_BYTES = 12

Batch = tuple[NDArray[np.integer[Any]], NDArray[np.integer[Any]]]
Reader = Callable[[], Iterable[Batch]]
"""Reads distinct n-grams again from the start: (token ids (M, n), counts (M,)) a batch."""


@dataclass(frozen=True)
class HeadLoad:
    """One head over all n-grams of its order; every `expected_` is what pure chance would give.

    Attributes:
        head: column of `row_ids`.
        num_slots: its modulus.
        load_factor: distinct n-grams a slot.
        reached_slots: slots some n-gram reads; the others are never reached.
        expected_reached_slots: by chance.
        colliding_ngrams: distinct n-grams that share their slot with another.
        expected_colliding_ngrams: by chance.
        overshadowed_percent: accesses by n-grams that are not the most frequent of their slot.
        expected_overshadowed_percent: by chance, for these counts.
    """

    head: int
    num_slots: int
    load_factor: float
    reached_slots: int
    unreached_slots: int
    expected_reached_slots: float
    colliding_ngrams: int
    expected_colliding_ngrams: float
    overshadowed_percent: float
    expected_overshadowed_percent: float

    @classmethod
    def of(
        cls,
        head: int,
        num_slots: int,
        counts: CountHistogram,
        *,
        reached: int,
        alone: int,
        top_accesses: int,
    ) -> "HeadLoad":
        """Put what was counted beside what chance would give.

        Args:
            head: column of `row_ids`.
            num_slots: its modulus.
            counts: of all distinct n-grams of the order.
            reached: slots some n-gram reads.
            alone: slots exactly one n-gram reads.
            top_accesses: the counts of every slot's most frequent n-gram, summed up.
        """
        hidden = counts.accesses - top_accesses
        return cls(
            head=head,
            num_slots=num_slots,
            load_factor=counts.ngrams / num_slots,
            reached_slots=reached,
            unreached_slots=num_slots - reached,
            expected_reached_slots=counts.expected_reached(num_slots),
            colliding_ngrams=counts.ngrams - alone,
            expected_colliding_ngrams=counts.expected_colliding(num_slots),
            overshadowed_percent=100 * hidden / max(1, counts.accesses),
            expected_overshadowed_percent=100 * counts.expected_overshadowed(num_slots),
        )


@dataclass(frozen=True)
class OrderLoad:
    """All heads of one layer and order.

    Attributes:
        layer: the layer.
        order: n-gram order.
        distinct: different n-grams (windows).
        accesses: the sum of their counts.
        joint_collisions: distinct n-grams that share the slot of every head with another one.
        expected_joint_collisions: by chance.
        heads: one entry a head.
    """

    layer: int
    order: int
    distinct: int
    accesses: int
    joint_collisions: int
    expected_joint_collisions: float
    heads: tuple[HeadLoad, ...]


def diagnose(scheme: Scheme, layer: int, order: int, read: Reader) -> OrderLoad:
    """Hash every distinct n-gram of one order once and count what meets in each head's slots.

    N-grams at the start of a document, whose window has fills, are not among mined counts.

    Args:
        scheme: the scheme.
        layer: one of its layers.
        order: one of its orders.
        read: reads the n-grams again from the start; token ids oldest first.

    Raises:
        ConfigError: no such layer.
        ValueError: no such order, or ids outside the vocabulary.
    """
    columns = [
        column for column, head in enumerate(scheme.layer_hash(layer).heads) if head.order == order
    ]
    if not columns:
        raise ValueError(f"scheme {scheme.name} has no order {order}")
    heads = [scheme.layer_hash(layer).heads[column] for column in columns]
    total = _Totals()
    joint = 0
    loads: list[HeadLoad] = []
    for group in _groups([head.modulus for head in heads]):
        tallies = [_Tally.of(heads[index].modulus) for index in group]
        total = _Totals()
        for slots_MH, counts_M in _parts(scheme, layer, order, columns, read):
            total.add(slots_MH, counts_M, joint=group[0] == 0)
            for tally, index in zip(tallies, group, strict=True):
                tally.add(slots_MH[:, index], counts_M)
        for tally, index in zip(tallies, group, strict=True):
            loads.append(tally.load(columns[index], total.counts))
        joint += total.joint
    return OrderLoad(
        layer=layer,
        order=order,
        distinct=total.counts.ngrams,
        accesses=total.counts.accesses,
        joint_collisions=joint,
        expected_joint_collisions=total.counts.expected_colliding(
            math.prod(head.modulus for head in heads)
        ),
        heads=tuple(loads),
    )


@dataclass
class _Totals:
    counts: CountHistogram = field(default_factory=CountHistogram)
    joint: int = 0

    def add(
        self, slots_MH: NDArray[np.int64], counts_M: NDArray[np.uint64], *, joint: bool
    ) -> None:
        self.counts.add(counts_M)
        if joint:
            self.joint += joint_collisions(slots_MH)


@dataclass
class _Tally:
    """Distinct n-grams and the largest count of every slot of one head."""

    ngrams_K: NDArray[np.uint32]
    top_K: NDArray[np.uint64]

    @classmethod
    def of(cls, num_slots: int) -> "_Tally":
        return cls(np.zeros(num_slots, np.uint32), np.zeros(num_slots, np.uint64))

    def add(self, slots_M: NDArray[np.int64], counts_M: NDArray[np.uint64]) -> None:
        """Take in n-grams; sorted by slot first, so that each slot is touched once."""
        turn = np.argsort(slots_M, kind="stable")
        slots, counts = slots_M[turn], counts_M[turn]
        starts = _starts(slots)
        if len(starts):
            hit = slots[starts]
            self.ngrams_K[hit] += np.diff(starts, append=len(slots)).astype(np.uint32)
            self.top_K[hit] = np.maximum(self.top_K[hit], np.maximum.reduceat(counts, starts))

    def load(self, column: int, counts: CountHistogram) -> HeadLoad:
        return HeadLoad.of(
            column,
            len(self.ngrams_K),
            counts,
            reached=int(np.count_nonzero(self.ngrams_K)),
            alone=int(np.count_nonzero(self.ngrams_K == 1)),
            top_accesses=int(self.top_K.sum()),
        )


def joint_collisions(slots_MH: NDArray[np.int64]) -> int:
    """Count n-grams whose slots equal another's in every head; all that share slot 0 are here."""
    turn = np.argsort(slots_MH[:, 0], kind="stable")
    firsts = slots_MH[turn, 0]
    shared = np.zeros(len(turn), bool)
    same = firsts[1:] == firsts[:-1]
    shared[1:] |= same
    shared[:-1] |= same
    _, sizes = np.unique(slots_MH[turn[shared]], axis=0, return_counts=True)
    return int(sizes[sizes > 1].sum())


def _groups(moduli: Sequence[int]) -> list[list[int]]:
    """Cut heads into passes whose tallies fit the memory; a head alone may exceed it."""
    groups: list[list[int]] = []
    used = 0
    for index, modulus in enumerate(moduli):
        if not groups or used + modulus * _SLOT_BYTES > MEMORY_BYTES:
            groups.append([])
            used = 0
        groups[-1].append(index)
        used += modulus * _SLOT_BYTES
    return groups


def _parts(
    scheme: Scheme, layer: int, order: int, columns: list[int], read: Reader
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint64]]]:
    """Yield slots (M, heads) and counts of distinct windows, a range of slots of head 0 at a time.

    Equal windows, and n-grams that collide in every head, share slot 0 and so meet in one part.
    """
    heads = scheme.layer_hash(layer).heads
    offsets = np.array([heads[column].offset for column in columns])
    rows = sum(len(counts) for _, counts in read())
    cuts = max(1, -(-rows // PART_NGRAMS))
    which = scheme.orders.index(order)
    for part in range(cuts):
        kept: list[tuple[NDArray[np.uint64], NDArray[np.int64], NDArray[np.uint64]]] = []
        for ids_MN, counts_M in read():
            ids = ids_MN.astype(np.int64)
            past = ids[:, :-1]
            slots = scheme.row_ids(ids[:, -1:], layer, past)[:, 0, columns].astype(np.int64)
            slots -= offsets
            here = slots[:, 0] * cuts // heads[columns[0]].modulus == part
            keys = scheme.ngram_keys(ids[here, -1:], past[here])[:, 0, which]
            kept.append((keys, slots[here], counts_M[here].astype(np.uint64)))
        if kept:
            yield _merged(*(np.concatenate(column) for column in zip(*kept, strict=True)))


def _merged(
    keys_M2: NDArray[np.uint64], slots_MH: NDArray[np.int64], counts_M: NDArray[np.uint64]
) -> tuple[NDArray[np.int64], NDArray[np.uint64]]:
    """Add up the counts of equal windows."""
    turn = np.lexsort((keys_M2[:, 0], keys_M2[:, 1]))
    keys = keys_M2[turn]
    new = np.ones(len(keys), bool)
    new[1:] = (keys[1:] != keys[:-1]).any(axis=1)
    starts = np.flatnonzero(new)
    if not len(starts):
        return slots_MH, counts_M
    return slots_MH[turn[starts]], np.add.reduceat(counts_M[turn], starts)


def _starts(values: NDArray[np.int64]) -> NDArray[np.intp]:
    """Return where runs of equal values begin, in sorted values."""
    return np.flatnonzero(np.diff(values, prepend=-1))
