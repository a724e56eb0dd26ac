"""What a case is called in a figure, which colour it has, and which cases are shown together."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engramctl.report.figures.figure import TINTS
from engramctl.shown.places import place_columns
from engramctl.shown.rows import case_rows
from engramctl.storage.tiers.tier_list import on_disk

MOST_ROWS = 24  # lines of one figure
BESIDE_COLD = "beside cold"  # measured in turn with cold cases
BESIDE_TRAFFIC = "beside traffic"  # measured in turn with those that find what was read before


@dataclass(frozen=True)
class Shown:
    """A case with samples: as its result has it, as `case_rows` does, and what it is called."""

    case: Mapping[str, Any]
    row: Mapping[str, Any]
    label: str

    @property
    def tint(self) -> int:
        """The colour of its tier; cold rows are no warm ones."""
        tier = "cold" if self.case["cache"] == "cold" else self.case["tier"]
        return TINTS.index(tier) if tier in TINTS else len(TINTS)


def shown_cases(results: Mapping[str, Mapping[str, Any]]) -> list[Shown]:
    """Return the cases of all results that have samples and right rows.

    Args:
        results: documents of `as_current`, by the name that tells a result from the others.
    """
    found = []
    for result, document in results.items():
        for case, row in zip(document["cases"], case_rows(document), strict=True):
            if case["samples_ns"] and case["status"] != "failed":
                found.append((result, case, row))
    places = place_columns([row for _, _, row in found])
    told = _telling(places)
    several = len(results) > 1
    shown = []
    for (result, case, row), place in zip(found, places, strict=True):
        label = ", ".join(map(str, _words(case, row, place, told)))
        shown.append(Shown(case, row, f"{label} ({result})" if several else label))
    return shown


def _telling(places: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the axes of more than one value."""
    names = dict.fromkeys(name for place in places for name in place)
    return [
        name
        for name in names
        if len({str(place.get(name)) for place in places if place.get(name) is not None}) > 1
    ]


def _words(
    case: Mapping[str, Any], row: Mapping[str, Any], place: Mapping[str, Any], told: Iterable[str]
) -> Iterator[Any]:
    """Return what names a line: the tier, with its state or loop, then what was swept."""
    tier = case["tier"]
    yield f"{tier} {case['cache']}" if on_disk(tier) else tier
    beside = {"cold": BESIDE_COLD, "traffic": BESIDE_TRAFFIC}.get(case["loop"])
    if not on_disk(tier) and beside is not None:
        yield beside
    if row["state"] == "unproved":
        yield "unproved"
    if case["issue"] not in (None, "start"):
        yield f"asked {case['issue']}"
    yield from (f"{name} {place[name]}" for name in told if place.get(name) is not None)
    if case["status"] != "ok":
        yield "interrupted"


def phases(shown: Iterable[Shown]) -> dict[tuple[str, str], list[Shown]]:
    """Return cases by what they time and phase, in the order they are met."""
    found: dict[tuple[str, str], list[Shown]] = {}
    for one in shown:
        found.setdefault((one.case["name"], one.case["phase"]), []).append(one)
    return found


def parts(key: str, title: str, some: Sequence[Any]) -> Iterator[tuple[str, str, Sequence[Any]]]:
    """Cut what one figure cannot hold into several, with keys and titles of their own."""
    number = -(-len(some) // MOST_ROWS)
    for place in range(number):
        part = some[place * MOST_ROWS : (place + 1) * MOST_ROWS]
        if number == 1:
            yield key, title, part
        else:
            yield f"{key}-{place + 1}", f"{title} ({place + 1} of {number})", part
