"""How `rows --explain` shows one position: the window, then each head, or each order tried."""

from collections.abc import Sequence
from typing import Any

from engramctl.hashing import DictionaryScheme, Lookup
from engramctl.hashing.diagnose.explain import Explanation, WindowEntry, explain
from engramctl.hashing.diagnose.explain_match import MatchExplanation, explain_match
from engramctl.output import Table


def explained(
    scheme: Lookup,
    token_ids: Sequence[int],
    position: int,
    layers: Sequence[int],
    history: Sequence[int],
) -> tuple[list[dict[str, Any]], list[Table]]:
    """Return one position's explanation: a document a layer, and the tables that show them."""
    if isinstance(scheme, DictionaryScheme):
        matches = [explain_match(scheme, token_ids, position, n, history) for n in layers]
        first = _window_table(matches[0].window, f"window of position {position} ({scheme.name})")
        return [one.to_dict() for one in matches], [first, *map(_match_table, matches)]
    heads = [explain(scheme, token_ids, position, layer, history) for layer in layers]
    title = f"window of position {position} ({scheme.name}, {heads[0].mix})"
    tables = [table for one in heads for table in _layer_tables(one)]
    return [one.to_dict() for one in heads], [_window_table(heads[0].window, title), *tables]


def _window_table(window: Sequence[WindowEntry], title: str) -> Table:
    """Return the window: what stands at each distance, and why."""
    rows = [
        {
            "distance": entry.distance,
            "position": str(entry.position),
            "token id": "-" if entry.token_id is None else str(entry.token_id),
            "canonical id": "-" if entry.canonical_id is None else str(entry.canonical_id),
            "value": str(entry.value),
            "why": entry.why,
        }
        for entry in window
    ]
    return Table(title, rows)


def _match_table(one: MatchExplanation) -> Table:
    """Return what each order found, the longest first."""
    rows = [
        {
            "order": step.order,
            "n-gram": " ".join(map(str, step.ngram)) or "-",
            "row id": "-" if step.row_id < 0 else str(step.row_id),
            "outcome": step.outcome,
        }
        for step in one.matches
    ]
    found = f"an n-gram of {one.order} ids, row {one.row_id}" if one.order else "no match, row -1"
    return Table(f"layer {one.layer}: {found}", rows)


def _layer_tables(one: Explanation) -> list[Table]:
    """Return one layer's mixes, and then its heads down to the row id."""
    mixes = {(step.order, step.formula): step.mix for step in one.heads}
    heads = [
        {
            "head": step.head,
            "order": step.order,
            "mix": str(step.mix),
            "modulus": str(step.modulus),
            "slot": str(step.slot),
            "offset": str(step.offset),
            "row id": str(step.row_id),
        }
        for step in one.heads
    ]
    return [
        Table(
            f"layer {one.layer}: mix of each order",
            [{"order": key[0], "mix": f"{key[1]} = {mix}"} for key, mix in mixes.items()],
        ),
        Table(f"layer {one.layer}: slot = mix mod modulus, row id = slot + offset", heads),
    ]
