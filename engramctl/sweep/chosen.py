"""What was typed, and what a recipe says of the rest -> the options of a run."""

import re
from typing import Any

from engramctl.errors import ConfigError
from engramctl.numbers import parse_bytes, whole_number
from engramctl.storage.tiers.door import tier_missing
from engramctl.storage.tiers.tier_list import TIERS
from engramctl.sweep.axes import CASES, NAMES
from engramctl.sweep.loops import USUAL_ISSUE
from engramctl.sweep.options import BenchOptions
from engramctl.sweep.recipes import with_recipe
from engramctl.sweep.repeated import repeated

_RANGE = re.compile(r"\s*([^-]+)-([^-]+)\s*")


def chosen_options(recipe: str | None = None, **given: Any) -> BenchOptions:
    """Return the options of a run.

    Args:
        recipe: whose options hold where none was given; None: the usual ones.
        given: by name, None where nothing was typed: every axis as a list, `tier`, `case` and
            `issue` as lists, `budget`, `row_cache`, `fill_size`, `write_budget` and `lengths` as
            text, the others as in BenchOptions.

    Raises:
        ConfigError: no such recipe, or a value outside its choices or range.
    """
    if given.get("lengths") is not None:
        given["lengths"] = read_lengths(given["lengths"])
    if recipe is not None:
        given = with_recipe(recipe, given, on_gpu=tier_missing("gpu") is None)
    swept = {name: given.pop(name, None) for name in NAMES}
    lists = {name: given.pop(name, None) for name in ("tier", "case", "issue", "settings")}
    for name in ("budget", "row_cache", "fill_size", "write_budget"):
        text = given.pop(name, None)
        if text is not None:
            given[f"{name}_bytes"] = parse_bytes(text, f"--{name.replace('_', '-')}")
    return BenchOptions(
        tiers=tuple(lists["tier"] or TIERS), named=bool(lists["tier"]),
        cases=tuple(dict.fromkeys(lists["case"] or CASES)),
        issues=tuple(dict.fromkeys(lists["issue"] or (USUAL_ISSUE,))),
        settings=tuple(lists["settings"] or ()), recipe=recipe,
        **repeated(**swept),
        **{name: value for name, value in given.items() if value is not None},
    )  # fmt: skip


def read_lengths(text: str) -> tuple[int, int]:
    """Read the ends of a range.

    Raises:
        ConfigError: not two whole numbers.

    Example:
        >>> read_lengths("100-1k")
        (100, 1000)
    """
    ends = _RANGE.fullmatch(text)
    if ends is None:
        raise ConfigError(
            f"--lengths '{text}' is no range", hint="write the shortest and the longest: 100-1024"
        )
    shortest, longest = (whole_number(one, "--lengths", 1) for one in ends.groups())
    return shortest, longest
