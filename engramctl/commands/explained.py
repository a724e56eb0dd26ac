"""How `rows --explain` shows one position: the window, each mix, each head."""

from typing import TYPE_CHECKING

from engramctl.output import Table

if TYPE_CHECKING:
    from engramctl.hashing.explain import Explanation


def window_table(one: "Explanation") -> Table:
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
        for entry in one.window
    ]
    return Table(f"window of position {one.position} ({one.scheme}, {one.mix})", rows)


def layer_tables(one: "Explanation") -> list[Table]:
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
