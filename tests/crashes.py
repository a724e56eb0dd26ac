"""Every crash state of every command that writes a folder: `python -m tests.crashes [NAME ...]`.

    python -m tests.crashes [--all] [NAME ...]

Without NAMEs every scenario of `tests/storage/writing/crash_scenarios.py`. `--all` takes every
choice of up to ten changes of names that no sync has made durable, and begins anew from every state
as well as going on. The suite runs a part of the states. Exit code 1 when a promise is broken.
"""

import argparse
import errno
import os
import shutil
import sys
import tempfile
from itertools import count
from pathlib import Path
from unittest import mock

from engramctl.errors import EngramError
from tests.storage.writing.crash_fs import SYNCS, WRITES
from tests.storage.writing.crash_scenarios import Scenario, scenarios

MOST_SHOWN = 3


def main() -> int:
    """Run the scenarios asked for; return the exit code."""
    words = argparse.ArgumentParser(prog="tests.crashes")
    words.add_argument("names", nargs="*")
    words.add_argument("--all", action="store_true")
    asked = words.parse_args()
    broken = 0
    no_sync = mock.patch.multiple(os, fsync=lambda file: None, fdatasync=lambda file: None)
    with tempfile.TemporaryDirectory(prefix="engramctl-crashes-") as folder, no_sync:
        (Path(folder) / "sources").mkdir()
        for scenario in scenarios(Path(folder) / "sources"):
            if not asked.names or scenario.name in asked.names:
                broken += crashes(scenario, Path(folder), everything=asked.all)
                broken += faults(scenario, Path(folder))
    return 1 if broken else 0


def crashes(scenario: Scenario, folder: Path, *, everything: bool) -> int:
    """Check the states of one scenario; return how many broke a promise."""
    run, place, broken = folder / scenario.name, folder / "state", 0
    states = scenario.record(run).states(all_choices=everything)
    for number, (finished, tree) in enumerate(states):
        for anew in (False, True) if everything else (number % 5 == 0,):
            try:
                scenario.check_crash(finished, tree, run, place, anew=anew)
            except (AssertionError, EngramError) as error:
                broken += 1
                if broken <= MOST_SHOWN:
                    print(f"  after a crash that leaves {sorted(tree)}: {error!s:.400}")
            shutil.rmtree(place)
    print(f"{scenario.name}: {len(states):,} states, {broken:,} broken", flush=True)
    return broken


def faults(scenario: Scenario, folder: Path) -> int:
    """Let every sync and every write of one scenario fail; return how many broke a promise."""
    run, place, broken, met = folder / scenario.name, folder / "fault", 0, 0
    for calls, code in ((SYNCS, errno.EIO), (WRITES, errno.ENOSPC)):
        for number in count():
            came = True
            try:
                came = scenario.check_fault(calls, number, code, run, place)
            except (AssertionError, EngramError) as error:
                broken += 1
                print(f"  call {number} of {calls[0]}.. fails: {error!s:.400}")
            shutil.rmtree(place)
            if not came:
                break
            met += 1
    print(f"{scenario.name}: {met:,} calls that fail, {broken:,} broken", flush=True)
    return broken


if __name__ == "__main__":
    sys.exit(main())
