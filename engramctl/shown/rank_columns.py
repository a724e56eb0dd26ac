"""What a case says of its ranks, as flat columns for programs."""

from collections.abc import Mapping
from typing import Any

MARKS = {"plain": "plain", "two micro-batches": "two"}  # of a schedule, in the names of columns


def rank_columns(ranks: Mapping[str, Any] | None) -> dict[str, Any]:
    """Return what a case says of its ranks as flat columns; none of other cases."""
    if ranks is None:
        return {}
    alone = ("number", "dealt", "backend", "second_stage", "logits_off")
    found = {f"ranks_{name}": ranks[name] for name in alone}
    for kind in ("rows", "streams"):
        found[f"ranks_{kind}_bytes_per_token"] = ranks["bytes_per_token"][kind]
    for one in ranks["schedules"]:
        for name in ("p50_ns", "exposed_rows_ns", "exposed_streams_ns"):
            found[f"ranks_{MARKS[one['schedule']]}_{name}"] = one[name]
    return found
