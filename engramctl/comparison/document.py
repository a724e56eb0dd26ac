"""What `engramctl compare` says, as one document: `engramctl.compare/1`."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engramctl.comparison.differences import differences, refuse_others
from engramctl.comparison.limits import check_judged
from engramctl.comparison.matched import match, measured_cases
from engramctl.comparison.ratios import CONFIDENCE_PERCENT, ratio_rows, runs_of
from engramctl.errors import FormatError
from engramctl.results.file import not_as_written, read_result

SCHEMA = "engramctl.compare/1"
SHOWN = ("p50", "p99")


def compared(
    old: Path,
    new: Sequence[Path],
    limits: Mapping[str, float],
    allowed: Collection[str] = (),
    *,
    paired: bool = False,
) -> dict[str, Any]:
    """Compare one result with others, each with the first.

    Args:
        old: the file that the others are held against.
        new: the others; each is compared with `old`, none with another.
        limits: how many percent slower a percentile may be; {}: nothing is judged.
        allowed: what may differ although it is judged, of `differences.NAMES`.
        paired: sample i of two results was taken in one round.

    Returns:
        schema, old, confidence_percent, paired, limits (percent); differences, rows and
        not_compared of all files, each with its `file`.

    Raises:
        FormatError: a file is no result, or not as `bench` writes them, or shares no case with OLD.
        StorageError: it cannot be read.
        ConfigError: a comparison that is refused, or cannot be judged.
    """
    names = tuple(dict.fromkeys((*SHOWN, *limits)))
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "old": str(old),
        "confidence_percent": CONFIDENCE_PERCENT,
        "paired": paired,
        "limits": dict(limits),
        "differences": [],
        "rows": [],
        "not_compared": [],
    }
    first = read_result(old)
    with _readable(old):
        ours = measured_cases(first)
        differences(first, first)
        runs_of(first, first)
    for path in new:
        second, file = read_result(path), {"file": str(path)}
        with _readable(path):
            found = differences(first, second)
            matches = match(ours, measured_cases(second))
            runs = runs_of(first, second, paired=paired)
            rows = ratio_rows(matches, names, runs)
        if limits:
            refuse_others(found, allowed, old, path)
        if not matches.pairs:
            raise _nothing_shared(old, path, matches.alone)
        if limits:
            check_judged(rows, limits)
        document["differences"] += [file | asdict(one) for one in found]
        document["rows"] += [file | row | _judged(row, limits) for row in rows]
        document["not_compared"] += [file | one for one in matches.alone]
    return document


def _judged(row: Mapping[str, Any], limits: Mapping[str, float]) -> dict[str, Any]:
    """Return what a limit says of a row: over it, and seen to be slower at all."""
    limit = limits.get(row["of"])
    over = limit is not None and row["ratio"] > 1 + limit / 100
    return {"limit_percent": limit, "fails": over and row["verdict"] == "slower"}


def _nothing_shared(old: Path, new: Path, alone: Sequence[Mapping[str, Any]]) -> FormatError:
    facts = {one["case"]: one["reason"] for one in alone[:4]}
    return FormatError(
        f"{old} and {new} have no case in common",
        facts=facts or {"found": "no case was measured"},
        hint=f"see what each measured: engramctl inspect {old}",
    )


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Make one error of a result with parts missing or wrong."""
    try:
        yield
    except (LookupError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise not_as_written(path, error) from error
