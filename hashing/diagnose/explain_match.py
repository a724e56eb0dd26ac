"""One position of a dictionary, step by step: the window, and every n-gram that could end there.

Reads the list itself and not the table that `row_ids` uses; a test holds one against the other.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from engramctl.hashing.diagnose.explain import WindowEntry, explain_window, known_ids
from engramctl.hashing.dictionary.dictionary_scheme import NO_MATCH, DictionaryScheme


@dataclass(frozen=True)
class MatchStep:
    """One length.

    Attributes:
        order: the length.
        ngram: canonical ids, oldest first; empty where the window is shorter.
        row_id: its row, or -1.
        outcome: `match`, `shorter than the match`, `not in the dictionary`, or why there is none.
    """

    order: int
    ngram: tuple[int, ...]
    row_id: int
    outcome: str


@dataclass(frozen=True)
class MatchExplanation:
    """One position under one layer: the window, then every order, the longest first.

    Attributes:
        scheme: its name.
        layer: the layer.
        position: in the sequence.
        window: distances 0..N-1.
        matches: one step an order.
        order: length of the match; 0 without one.
        row_id: what `row_ids` gives.
    """

    scheme: str
    layer: int
    position: int
    window: tuple[WindowEntry, ...]
    matches: tuple[MatchStep, ...]
    order: int
    row_id: int

    def to_dict(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)


def explain_match(
    scheme: DictionaryScheme,
    token_ids: Sequence[int],
    position: int,
    layer: int,
    history: Sequence[int] = (),
) -> MatchExplanation:
    """Look one position up by hand.

    Args:
        scheme: the dictionary.
        token_ids: the sequence.
        position: in `token_ids`, from 0.
        layer: a layer of the scheme.
        history: token ids before the first, oldest first.

    Raises:
        ConfigError: no such layer.
        IndexError: no such position.
        ValueError: an id in the window that the scheme cannot take.

    Example:
        >>> scheme = DictionaryScheme.of([(5, 9), (7, 5, 9)], vocab_size=10)
        >>> [(step.order, step.outcome) for step in explain_match(scheme, [3, 5, 9], 2, 0).matches]
        [(3, 'not in the dictionary'), (2, 'match')]
    """
    known = known_ids(scheme, token_ids, position, layer, history)
    window = explain_window(scheme, known, position)
    # A fill ends the window for good: look-back is sticky.
    fills = [entry for entry in window if entry.why.startswith("fill")]
    reach = fills[0].distance if fills else len(window)
    steps: list[MatchStep] = []
    order = 0
    for length in reversed(scheme.orders):
        if length > reach:
            steps.append(MatchStep(length, (), NO_MATCH, fills[0].why))
            continue
        ngram = tuple(entry.value for entry in reversed(window[:length]))
        row_id = scheme.ngrams.rank_of(ngram)
        outcome = "not in the dictionary"
        if row_id != NO_MATCH:
            outcome = "shorter than the match" if order else "match"
            order = order or length
        steps.append(MatchStep(length, ngram, row_id, outcome))
    rows = [step.row_id for step in steps if step.outcome == "match"]
    return MatchExplanation(
        scheme=scheme.name,
        layer=layer,
        position=position,
        window=window,
        matches=tuple(steps),
        order=order,
        row_id=rows[0] if rows else NO_MATCH,
    )
