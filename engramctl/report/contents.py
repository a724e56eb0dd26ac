"""All that a report says: its figures, and tables of what has none. It draws nothing."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from engramctl.errors import FormatError
from engramctl.output import Table
from engramctl.report.figures.ceiling import ceiling_figures
from engramctl.report.figures.coverage import coverage_figures
from engramctl.report.figures.figure import Figure
from engramctl.report.figures.hit_rates import hit_rate_figures
from engramctl.report.figures.latency import latency_figures
from engramctl.report.figures.overhead import overhead_figures
from engramctl.report.figures.places import shown_cases
from engramctl.report.figures.slots import slot_figures
from engramctl.report.figures.waits import wait_figures
from engramctl.report.figures.zipf import zipf_figures
from engramctl.report.sources import Sources
from engramctl.shown.facts import facts_table, result_facts
from engramctl.shown.tables import result_tables

SCHEMA = "engramctl.report/1"
MARK = f"<!-- {SCHEMA} -->"  # stands at the beginning of every report that is text
_WRONG = (LookupError, TypeError, ValueError, AttributeError, ArithmeticError)


@dataclass(frozen=True)
class Contents:
    """Figures in the order they are shown, then tables: runs, machines, what was not measured."""

    figures: tuple[Figure, ...]
    tables: tuple[Table, ...]

    def document(self) -> dict[str, Any]:
        """Return it as a JSON document, without samples."""
        figures = [
            {"key": one.key, "title": one.title, "says": one.says, "rows": list(one.table.rows)}
            for one in self.figures
        ]
        tables = [{"title": one.title, "rows": list(one.rows)} for one in self.tables]
        return {"schema": SCHEMA, "figures": figures, "tables": tables}

    def as_tables(self) -> list[Table]:
        """Return all of it as tables; what a figure says stands below its numbers."""
        return [*(replace(one.table, caption=one.says) for one in self.figures), *self.tables]


def contents_of(sources: Sources) -> Contents:
    """Return what can be said of these sources.

    Raises:
        CorpusError: counts with a broken file.
        FormatError: a source with parts missing or wrong.
    """
    keys = _keys(sources.paths)
    try:
        shown = shown_cases(sources.results)
        figures = (
            *latency_figures(shown),
            *overhead_figures(shown),
            *wait_figures(shown),
            *ceiling_figures(shown),
            *hit_rate_figures(sources.counts, keys),
            *coverage_figures(sources.counts, keys),
            *slot_figures(sources.counts, keys),
            *zipf_figures(sources.counts, keys),
        )
        tables = tuple(_tables(sources))
    except _WRONG as error:
        raise FormatError(
            "a file is not as engramctl writes it",
            facts={"files": ", ".join(map(str, sources.paths.values())),
                   "found": f"{type(error).__name__}: {error}"[:200]},
            hint="engramctl inspect says which, file by file",
        ) from error  # fmt: skip
    return Contents(figures, tables)


def _tables(sources: Sources) -> Iterator[Table]:
    """Return what was measured where, and what could not be."""
    for name, document in sources.results.items():
        facts = {"path": sources.paths[name], **result_facts(document)}
        yield replace(facts_table(facts), title=f"The run of {name}")
        libraries = document["environment"].get("libraries") or {}
        yield Table(
            f"Libraries of {name}",
            [{"library": one, "version": version} for one, version in sorted(libraries.items())],
        )
        for table in result_tables(dict(document)):
            if table.title in ("skipped", "failed"):
                yield replace(table, title=f"{table.title.capitalize()} in {name}")
    for name, document in sources.counts.items():
        facts = {"folder": document["path"], **_simple(document)}
        rows = [{"fact": fact, "value": value} for fact, value in facts.items()]
        yield Table(f"The counts {name}", rows)


def _simple(document: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name.replace("_", " "): value
        for name, value in document.items()
        if isinstance(value, int | float | str) and name not in ("path", "kind")
    }


def _keys(names: Iterable[str]) -> dict[str, str]:
    """Return for each name a word of a file name or an anchor, no two the same."""
    found: dict[str, str] = {}
    for name in names:
        word = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")[:40] or "x"
        number = 2
        key = word
        while key in found.values():
            key = f"{word}-{number}"
            number += 1
        found[name] = key
    return found
