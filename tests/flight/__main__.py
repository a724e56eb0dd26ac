"""Rows in flight against plain readers, on this machine, for as long as you like.

    python -m tests.flight [--rows N] [--seconds S] [--seed S] [--json] [--folder DIR] [SECTION ...]

rows      every engine, mode, layout and dtype: outputs poisoned, eight threads, tickets dropped,
          stores forked; N rows in total (10 million, some minutes)
faults    direct rows while reads are short, late, in any order, and some fail
changed   files cut, overwritten and replaced under a store that serves
memory    a table four times the budget served for S seconds (20) a budget; how much a process grows

All of them without a SECTION. The exit code is 1 when a row was wrong or a bound was broken.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from tests.flight.sections import SECTIONS


def main() -> int:
    """Run the sections asked for; return the exit code."""
    words = argparse.ArgumentParser(
        prog="python -m tests.flight", description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    words.add_argument("sections", nargs="*", metavar="SECTION")
    words.add_argument("--rows", type=int, default=10_000_000)
    words.add_argument("--seconds", type=float, default=20.0)
    words.add_argument("--seed", type=int, default=0)
    words.add_argument("--json", action="store_true")
    words.add_argument("--folder", type=Path)
    asked = words.parse_args()
    found, bad = {}, False
    for name in asked.sections or SECTIONS:
        with tempfile.TemporaryDirectory(prefix="engramctl-flight-", dir=asked.folder) as folder:
            lines = SECTIONS[name](Path(folder), asked)
        found[name] = lines
        bad = bad or any(line["bad"] for line in lines)
        if not asked.json:
            show(name, lines)
    if asked.json:
        print(json.dumps(found))
    return 1 if bad else 0


def shown(value: object) -> str:
    """Return a cell's text; a line may lack what others have."""
    if value is None:
        return "-"
    return f"{value:,}" if isinstance(value, int) else str(value)


def show(name: str, lines: list[dict[str, object]]) -> None:
    """Print one section's lines as a table."""
    if not lines:
        return
    columns = list(dict.fromkeys(key for line in lines for key in line if key != "bad"))
    cells = [columns, *[[shown(line.get(key)) for key in columns] for line in lines]]
    widths = [max(len(line[k]) for line in cells) for k in range(len(columns))]
    print(f"\n{name}")
    for line in cells:
        print("  ".join(one.ljust(width) for one, width in zip(line, widths, strict=True)).rstrip())
    print(flush=True)


if __name__ == "__main__":
    sys.exit(main())
