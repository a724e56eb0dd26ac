"""What is said of row ids that differ: where first, by which mistake, and what to look at."""

import shlex
from collections.abc import Sequence
from pathlib import Path

from engramctl.errors import CheckFailed
from engramctl.hashing import Lookup
from engramctl.hashing.released.presets import PRESETS
from engramctl.rows.diff import Comparison, Difference

NO_MAP = (
    "no token map, maybe: the scheme here reads every token id as itself, and its released model "
    "does not; name the model's tokenizer.json with --tokenizer, of tables when they are built"
)


def verdict(
    found: Comparison, first: Difference, path: Path, scheme: Lookup, words: Sequence[str]
) -> CheckFailed:
    """Return the error that says how `path` differs.

    Args:
        found: the comparison.
        first: its first difference.
        path: the file compared.
        scheme: ours.
        words: of the command line that gives our ids, from `rows` on: INPUT, then options.
    """
    likely = [f"{one.name}: {one.explanation}" for one in found.likely]
    if not likely:
        likely = [*([NO_MAP] if _lacks_map(scheme) else []), _closest(found)]
    return CheckFailed(
        f"{path} has {found.differing_ids:,} other row ids of {found.compared_ids:,}",
        facts={
            "first": f"sequence {first.sequence}, position {first.position}, layer {first.layer}, "
            f"order {first.order}, head {first.head}",
            "expected": first.expected,
            "found": first.found,
            "likely": "\n".join(likely),
        },
        hint=None if found.likely else _look(first, words),
    )


def _look(first: Difference, words: Sequence[str]) -> str | None:
    """Return the command that explains the first difference; None: none does.

    `--explain` takes the first sequence of its input, so a later one is cut out of JSON lines.
    """
    source, *options = words
    explain = ["--layer", str(first.layer), "--explain", str(first.position)]
    if not first.sequence:
        return f"run: {shlex.join(['engramctl', 'rows', source, *options, *explain])}"
    if not source.endswith((".jsonl", ".json")):
        return None
    line = shlex.join(["sed", "-n", f"{first.sequence + 1}p", source])
    return f"run: {line} | {shlex.join(['engramctl', 'rows', *options, *explain])}"


def _lacks_map(scheme: Lookup) -> bool:
    """Tell whether the scheme's released model compresses ids, and the scheme here does not."""
    preset = PRESETS.get(scheme.name)
    if preset is None or not preset.has_token_map:
        return False
    return scheme.canonical.token_map is None and not scheme.canonical.takes_canonical


def _closest(found: Comparison) -> str:
    if found.closest is None:
        return "no known mistake gives these ids"
    return (
        f"no known mistake gives all these ids; closest, with {found.closest_percent:.1f} % of "
        f"those that differ: {found.closest.name}: {found.closest.explanation}"
    )
