"""Compare the row ids of another engine with ours, and name the likely mistake."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import CheckFailed, CorpusError
from engramctl.hashing import DictionaryScheme, Lookup
from engramctl.rows.sequences import TokenSequence
from engramctl.rows.variant_walk import Rows
from engramctl.rows.wrong_dictionaries import DICTIONARY_VARIANTS
from engramctl.rows.wrong_variants import VARIANTS, Variant

JUDGED_TOKENS = 1 << 18
"""Mistakes are judged on sequences until they have had this many tokens; then they still are ruled
out by sequences that differ, as long as they give every id."""


@dataclass
class Candidate:
    """A mistake on trial.

    Attributes:
        variant: the mistake.
        rows: what it gives, by layer.
        wrong: ids it did not give.
        explained: ids that differ from ours and that it gave.
    """

    variant: Variant
    rows: dict[int, Rows]
    wrong: int = 0
    explained: int = 0


@dataclass(frozen=True)
class Difference:
    """One row id that differs; sequence, position and head count from 0.

    `order` is the head's; of a dictionary, the length of the n-gram expected, 0 for no match.
    """

    sequence: int
    position: int
    layer: int
    order: int
    head: int
    expected: int
    found: int


@dataclass
class Comparison:
    """What a comparison found.

    Attributes:
        sequences: sequences compared.
        compared_ids: row ids compared.
        differing_ids: how many differ.
        first: the first difference, or None.
        likely: the known mistakes that give every id that was found.
        closest: where there is none, the mistake that gives most of the ids that differ.
        closest_percent: its share of them, of those judged.
    """

    sequences: int = 0
    compared_ids: int = 0
    differing_ids: int = 0
    first: Difference | None = None
    likely: list[Variant] = field(default_factory=list)
    closest: Variant | None = None
    closest_percent: float | None = None

    def document(self) -> dict[str, Any]:
        """Return the JSON form."""
        return {
            "equal": self.first is None,
            "sequences": self.sequences,
            "compared_ids": self.compared_ids,
            "differing_ids": self.differing_ids,
            "first": asdict(self.first) if self.first else None,
            "likely": [{"name": one.name, "explanation": one.explanation} for one in self.likely],
            "closest": None
            if self.closest is None
            else {
                "name": self.closest.name,
                "explanation": self.closest.explanation,
                "percent": self.closest_percent,
            },
        }


def compare(
    scheme: Lookup,
    layers: Sequence[int],
    ours: Iterable[TokenSequence],
    theirs: Iterator[dict[int, NDArray[np.int64]]],
    name: str,
) -> Comparison:
    """Compare sequence by sequence, in bounded memory.

    Args:
        scheme: the right one.
        layers: layers to compare.
        ours: the token ids.
        theirs: the other engine's row ids, layer -> int64 (T, H), in the same order.
        name: what to call `theirs` in errors.

    Raises:
        CorpusError: another number of sequences, positions, heads or layers.
    """
    result = Comparison()
    candidates = _candidates(scheme, layers)
    judged = judged_differing = 0
    for sequence in ours:
        found = next(theirs, None)
        if found is None:
            raise _shape(name, "sequences", f"more than {result.sequences}", result.sequences)
        before = result.differing_ids
        wrong = {}
        for layer in layers:
            expected = sequence.row_ids(scheme, layer).astype(np.int64)
            ids = _fitting(found, layer, expected, name, result.sequences)
            wrong[layer] = _count(result, scheme, layer, expected, ids)
        differing = result.differing_ids - before
        judging = judged < JUDGED_TOKENS
        if not judging:
            candidates = [one for one in candidates if not one.wrong]
        if differing or judging:
            _judge(candidates, sequence, {n: (found[n], wrong[n]) for n in layers})
        if judging:
            judged += len(sequence.token_ids)
            judged_differing += differing
            _note_closest(result, candidates, judged_differing)
        result.sequences += 1
    if next(theirs, None) is not None:
        raise _shape(name, "sequences", result.sequences, f"more than {result.sequences}")
    if result.first is not None:
        result.likely = [one.variant for one in candidates if not one.wrong]
    if result.likely:
        result.closest = result.closest_percent = None
    return result


def _candidates(scheme: Lookup, layers: Sequence[int]) -> list[Candidate]:
    """Return every mistake this scheme can have in all these layers."""
    known = DICTIONARY_VARIANTS if isinstance(scheme, DictionaryScheme) else VARIANTS
    made = [(one, {layer: one.make(scheme, layer) for layer in layers}) for one in known]
    return [
        Candidate(one, {layer: rows for layer, rows in by_layer.items() if rows is not None})
        for one, by_layer in made
        if None not in by_layer.values()
    ]


def _fitting(
    found: dict[int, NDArray[np.int64]],
    layer: int,
    expected: NDArray[np.int64],
    name: str,
    sequence: int,
) -> NDArray[np.int64]:
    if layer not in found:
        has = ", ".join(map(str, found)) or "none"
        raise CorpusError(
            f"{name}, sequence {sequence:,}: no layer {layer}",
            facts={"expected": f"layer {layer}", "found": has},
            hint="compare fewer layers with --layer",
        )
    if not len(expected) and not len(found[layer]):
        found[layer] = expected
    if found[layer].shape != expected.shape:
        one_more = found[layer].shape == (len(expected) + 1, *expected.shape[1:])
        wrong = _shape(
            f"{name}, sequence {sequence:,}, layer {layer}",
            "[positions, heads]",
            list(expected.shape),
            list(found[layer].shape),
            "one position more is what a BOS token in front gives: leave it out there, or put it "
            "into the token ids here"
            if one_more
            else None,
        )
        if one_more:  # the ids differ, by a known mistake
            raise CheckFailed(wrong.message, facts=wrong.facts, hint=wrong.hint)
        raise wrong
    return found[layer]


def _count(
    result: Comparison,
    scheme: Lookup,
    layer: int,
    expected: NDArray[np.int64],
    found: NDArray[np.int64],
) -> NDArray[np.bool_]:
    """Add one layer of one sequence; return which of its ids differ, (T, H)."""
    differs_TH: NDArray[np.bool_] = expected != found
    wrong = np.argwhere(differs_TH)
    result.compared_ids += expected.size
    result.differing_ids += len(wrong)
    if len(wrong) and result.first is None:
        position, head = (int(number) for number in wrong[0])
        result.first = Difference(
            sequence=result.sequences,
            position=position,
            layer=layer,
            order=_order(scheme, layer, head, int(expected[position, head])),
            head=head,
            expected=int(expected[position, head]),
            found=int(found[position, head]),
        )
    return differs_TH


def _order(scheme: Lookup, layer: int, head: int, row: int) -> int:
    if isinstance(scheme, DictionaryScheme):
        return len(scheme.ngrams[row]) if row >= 0 else 0
    return scheme.layer_hash(layer).heads[head].order


def _judge(
    candidates: list[Candidate],
    sequence: TokenSequence,
    found: dict[int, tuple[NDArray[np.int64], NDArray[np.bool_]]],
) -> None:
    """Put every mistake to one sequence: its ids, and which of them differ from ours."""
    if not len(sequence.token_ids):
        return
    past = np.empty(0, np.int64) if sequence.history is None else sequence.history
    for one in candidates:
        for layer, (ids_TH, differs_TH) in found.items():
            given_TH = one.rows[layer](sequence.token_ids, past) == ids_TH
            one.wrong += int(given_TH.size - np.count_nonzero(given_TH))
            one.explained += int(np.count_nonzero(given_TH & differs_TH))


def _note_closest(result: Comparison, candidates: list[Candidate], differing: int) -> None:
    """Keep the mistake that explains most, while all are judged."""
    best = max(candidates, key=lambda one: one.explained, default=None)
    if best is not None and best.explained:
        result.closest = best.variant
        result.closest_percent = 100 * best.explained / differing


def _shape(
    name: str, what: str, expected: object, found: object, hint: str | None = None
) -> CorpusError:
    return CorpusError(
        f"{name} holds another number of {what}",
        facts={"expected": expected, "found": found},
        hint=hint or "both must come from the same token ids; check --layer and the scheme's sizes",
    )
