"""What a recipe found, as a table: ours, and the published figures beside it as context."""

from collections.abc import Mapping
from typing import Any

from engramctl.output import Table
from engramctl.shown.figures import BELOW, percent
from engramctl.shown.rows import below_resolution


def recipe_tables(recipe: Mapping[str, Any] | None) -> list[Table]:
    """Return the table of a recipe; none where the run had none.

    Raises:
        LookupError, TypeError, ValueError: facts that a stranger made.
    """
    if recipe is None:
        return []
    rows = [
        {
            "preset": row["preset"],
            "tier": row["tier"],
            "without": _rate(row["without_tokens_per_s"]),
            "with": _rate(row["with_tokens_per_s"]),
            "less": _less(row),
            "published": _published(row),
        }
        for row in recipe["rows"]
    ]
    lines = [
        "without, with: tokens a second without the memory and with it",
        f"published: {recipe['source']}, on {recipe['hardware']}: another machine and another "
        "engine, so for context alone",
    ]
    cut = [f"{one['what']} {_words(one['here'])} of {_words(one['published'])}"
           for one in recipe["cut"]]  # fmt: skip
    if cut:
        lines.append(f"not the whole test: {'; '.join(cut)}")
    return [Table(f"recipe {recipe['name']}", rows, "\n".join(lines))]


def _rate(tokens_per_s: float | None) -> str | None:
    return None if tokens_per_s is None else f"{tokens_per_s:,.2f}"


def _less(row: Mapping[str, Any]) -> str | None:
    """Show what the memory takes of the rate, where two copies of one arm do not differ as much."""
    less = row["less_percent"]
    return BELOW if below_resolution(less, row["resolution_percent"]) else percent(less)


def _published(row: Mapping[str, Any]) -> str | None:
    """Show the published rates without and with, and the difference."""
    without, given = (_rate(row[f"published_{name}_tokens_per_s"]) for name in ("without", "with"))
    if without is None:
        return None
    return f"{without} to {given}, -{percent(row['published_less_percent'])}"


def _words(value: Any) -> str:
    """Show a size, or the two ends of a range."""
    if isinstance(value, list):
        return " to ".join(f"{one:,}" for one in value)
    return f"{value:,}"
