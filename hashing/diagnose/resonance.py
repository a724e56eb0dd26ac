"""Warnings by a scheme's constants alone: heads that are one, moduli that resonate with a base."""

import math
from fractions import Fraction

import numpy as np

from engramctl.hashing.scheme.scheme import Scheme
from engramctl.hashing.walk.heads import Head

MAX_DENOMINATOR = 8
NEAR = 2.5e-4
PROBES = 4096


def scheme_warnings(scheme: Scheme) -> list[str]:
    """Return what looks wrong about a scheme's heads, in words.

    Sources: what no two heads may share; gcd of moduli and base; ratios of LongCat's moduli.

    Example:
        >>> from engramctl.hashing import make_scheme
        >>> scheme_warnings(make_scheme("engram", vocab_size=64, slots=97))
        []
    """
    found = []
    for layer in scheme.layers:
        found += [
            f"layer {layer}: heads {first} and {second} always give the same slot"
            for first, second in identical_heads(scheme, layer)
        ]
        heads_by_text: dict[str, list[int]] = {}
        for column, head in enumerate(scheme.layer_hash(layer).heads):
            for text in _of_base(head):
                heads_by_text.setdefault(text, []).append(column)
        found += [
            f"layer {layer}, {_heads(columns)}: {text}" for text, columns in heads_by_text.items()
        ]
    return found


def _heads(columns: list[int]) -> str:
    """Name heads in words.

    Example:
        >>> _heads([3]), _heads([0, 4, 5, 6])
        ('head 3', 'heads 0, 4-6')
    """
    runs: list[list[int]] = []
    for column in columns:
        if runs and runs[-1][-1] == column - 1:
            runs[-1].append(column)
        else:
            runs.append([column])
    words = [str(run[0]) if len(run) == 1 else f"{run[0]}-{run[-1]}" for run in runs]
    return f"head{'s' if len(columns) > 1 else ''} {', '.join(words)}"


def identical_heads(scheme: Scheme, layer: int) -> list[tuple[int, int]]:
    """Return pairs of heads of one order whose slots are equal on random n-grams."""
    ids = np.random.default_rng(0).integers(0, scheme.vocab_size, (PROBES, max(scheme.orders)))
    rows = scheme.row_ids(ids[:, -1:], layer, ids[:, :-1])[:, 0].astype(np.int64)
    heads = scheme.layer_hash(layer).heads
    slots = rows - np.array([head.offset for head in heads])
    return [
        (first, second)
        for second in range(len(heads))
        for first in range(second)
        if heads[first].order == heads[second].order
        and np.array_equal(slots[:, first], slots[:, second])
    ]


def _of_base(head: Head) -> list[str]:
    """Say where a polynomial's modulus and base work against each other."""
    if head.base is None:
        return []
    found = []
    common = math.gcd(head.modulus, head.base)
    if common > 1:
        found.append(
            f"gcd(modulus, base {head.base:,}) = {common}: one token alone decides the slot "
            f"modulo {common}"
        )
    ratio = head.modulus / head.base
    near = Fraction(ratio).limit_denominator(MAX_DENOMINATOR)
    if head.modulus > head.base and abs(ratio - near) < NEAR:
        name = f"{near.numerator}/{near.denominator}" if near.denominator > 1 else f"{near}"
        found.append(
            f"the modulus is almost {name} times the base {head.base:,}: regular n-grams "
            "collide far more often than by chance"
        )
    return found
