"""Make the product wrong, one line at a time, and see that a test notices.

    python -m tests.mutate [NAME ...]     all mutations, or those whose name contains one of NAMEs
    python -m tests.mutate --list

Works on a copy of the checkout. First every test that should kill something must pass there; then
each mutation is made alone, and one of its tests must fail. Exit code 1 when one survives.
"""

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.mutations import Mutation, all_mutations

ROOT = Path(__file__).parents[1]
PASSED, FAILED = 0, 1  # pytest's exit codes
KERNELS = ROOT / "engramctl" / "__pycache__"  # compiled ones are the copy's too, until it differs
LIMIT_S = 180.0


def main() -> int:
    """Run the mutations asked for; return the exit code."""
    words = argparse.ArgumentParser(prog="tests.mutate")
    words.add_argument("names", nargs="*")
    words.add_argument("--list", action="store_true")
    asked = words.parse_args()
    chosen = [
        one
        for one in all_mutations()
        if not asked.names or any(name in one.name for name in asked.names)
    ]
    if asked.list:
        print("\n".join(f"{one.name:40} {one.file}" for one in chosen))
        return 0
    with tempfile.TemporaryDirectory(prefix="engramctl-mutate-") as folder:
        copy = Path(folder) / "checkout"
        copy_checkout(copy)
        killers = sorted({test for one in chosen for test in one.killers})
        print(f"{len(chosen)} mutations; first their {len(killers)} tests unchanged", flush=True)
        if run_tests(copy, killers, limit_s=None) != PASSED:
            print("the tests do not pass unchanged: nothing can be said")
            return 1
        survivors = [one.name for one in chosen if not killed(copy, one)]
    print(f"{len(chosen) - len(survivors)} killed, {len(survivors)} survived")
    return 1 if survivors else 0


def copy_checkout(target: Path) -> None:
    """Copy what git tracks or could track, links as links."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, check=True, capture_output=True,
    ).stdout  # fmt: skip
    for name in filter(None, os.fsdecode(listed).split("\0")):
        source, place = ROOT / name, target / name
        if source.is_symlink() or source.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, place, follow_symlinks=False)


def killed(copy: Path, mutation: Mutation) -> bool:
    """Make one mutation in the copy, run its tests, undo it; whether a test failed."""
    file = copy / mutation.file
    text = file.read_text()
    if text.count(mutation.old) != 1:
        print(f"LOST      {mutation.name}: its line stands {text.count(mutation.old)} times")
        return False
    began = time.monotonic()
    file.write_text(text.replace(mutation.old, mutation.new))
    try:
        code = run_tests(copy, mutation.killers)
    finally:
        file.write_text(text)
    verdict = {PASSED: "SURVIVED", FAILED: "killed"}.get(code, f"ERROR {code}")
    print(f"{verdict:9} {mutation.name} ({time.monotonic() - began:.0f} s)", flush=True)
    return code == FAILED


def run_tests(
    copy: Path, tests: list[str] | tuple[str, ...], *, limit_s: float | None = LIMIT_S
) -> int:
    """Run tests in the copy; return pytest's exit code, FAILED for one that hangs.

    Without a limit they are shown, too.
    """
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    shown = None if limit_s is None else subprocess.DEVNULL
    try:
        return subprocess.run(
            command,
            cwd=copy,
            env={**os.environ, "PYTHONPATH": str(copy), "NUMBA_CACHE_DIR": str(KERNELS)},
            stdout=shown,
            stderr=shown,
            timeout=limit_s,
        ).returncode
    except subprocess.TimeoutExpired:
        return FAILED


if __name__ == "__main__":
    sys.exit(main())
