"""One-line mutations of the product, a file an area, each with the tests that must kill it.

A mutation is found by its text, so that moving a file's lines keeps it; `python -m tests.mutate`
runs them by hand.
"""

from dataclasses import dataclass
from importlib import import_module
from pkgutil import iter_modules


@dataclass(frozen=True)
class Mutation:
    """A small wrong change, and what has to notice it.

    Attributes:
        name: unique, words joined by dashes: what the change breaks.
        file: path from the project's root.
        old: text that stands in the file exactly once.
        new: what stands there instead.
        killers: pytest node ids, at least one of which must fail.
    """

    name: str
    file: str
    old: str
    new: str
    killers: tuple[str, ...]


def all_mutations() -> tuple[Mutation, ...]:
    """Return the mutations of every area, in the order of the areas' names."""
    areas = sorted(one.name for one in iter_modules(__path__))
    found: list[Mutation] = []
    for area in areas:
        found += import_module(f"{__name__}.{area}").MUTATIONS
    return tuple(found)
