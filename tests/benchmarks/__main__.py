"""`python -m tests.benchmarks NAME [--json] [--quick]`."""

import argparse
import importlib
import json
import sys

from engramctl.machine.environment import capture
from engramctl.output import Output, Table

NAMES = (
    "startup", "hashing", "hashing_cuda", "dictionary", "gather", "gather_cold", "layouts",
    "mining", "access", "reuse", "cache", "mixture", "storage", "mhc",
)  # fmt: skip


def main() -> None:
    """Run one benchmark and print its rows."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--json", action="store_true", help="print the rows as JSON")
    parser.add_argument("--quick", action="store_true", help="smaller work, under 40 seconds")
    chosen = parser.parse_args()
    module = importlib.import_module(f"tests.benchmarks.{chosen.name}")
    rows = module.run(chosen.quick)
    if chosen.json:
        json.dump(rows, sys.stdout, indent=1)
        print()
        return
    shown = [
        {name: row[name] for name in ("name", "peer", "ratio", "target", "ours", "theirs", "unit")}
        | {"bound": row.get("skipped") or row["bound"]}
        for row in rows
    ]
    facts = capture()
    title = f"{chosen.name} on {facts['cpu']}, {facts['num_cpus']} cores (ratio above 1: faster)"
    Output().result({}, [Table(title, shown)])


if __name__ == "__main__":
    main()
