"""What a recipe's run says beside its cases: tokens a second, and the published ones as context."""

from collections.abc import Mapping, Sequence
from typing import Any

from engramctl.results.document import NONE
from engramctl.storage.reading.source import Source
from engramctl.sweep.options import BenchOptions
from engramctl.sweep.recipes import cut_from, recipe_of


def recipe_facts(
    cases: Sequence[Mapping[str, Any]], options: BenchOptions, table: Source
) -> dict[str, Any] | None:
    """Return what a result says of its recipe; None where the run had none.

    A line for each case with a memory: tokens a second of the same loop without it and with it.

    Args:
        cases: of the result.
        options: of the run.
        table: that is measured.
    """
    if options.recipe is None:
        return None
    recipe = recipe_of(options.recipe)
    parameters = sum(map(table.num_rows, table.layers)) * table.record.row_dim
    rows = []
    for case in cases:
        bare = _without(case, cases)
        if bare is None or case["tier"] == NONE:
            continue
        name = case["axes"]["preset"]
        theirs = recipe.published.get(name)
        rows.append(
            {
                "id": case["id"], "preset": name, "tier": case["tier"],
                **_pair("", bare["tokens_per_s"], case["tokens_per_s"]),
                "resolution_percent": case["resolution_percent"],
                **_pair("published_", *(theirs or (None, None))),
            }
        )  # fmt: skip
    return {
        "name": recipe.name,
        "source": recipe.source,
        "hardware": recipe.hardware,
        "cut": cut_from(recipe, options, parameters),
        "rows": rows,
    }


def _without(
    case: Mapping[str, Any], cases: Sequence[Mapping[str, Any]]
) -> Mapping[str, Any] | None:
    """Return the measured case without memory of a measured case's loop."""
    shared = ("name", "phase", "loop", "axes")
    for one in cases:
        if one["tier"] == NONE and all(one[name] == case[name] for name in shared):
            return one if one["tokens_per_s"] and case["tokens_per_s"] else None
    return None


def _pair(prefix: str, without: float | None, given: float | None) -> dict[str, float | None]:
    """Return both rates and how much the memory takes of the first, in percent."""
    less = None if without is None or given is None else 100 * (1 - given / without)
    return {
        f"{prefix}without_tokens_per_s": without,
        f"{prefix}with_tokens_per_s": given,
        f"{prefix}less_percent": less,
    }
