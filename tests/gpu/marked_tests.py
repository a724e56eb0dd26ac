"""The tests marked `gpu`; all of them stand in files called test_cuda.py."""

import subprocess
import sys
import tempfile
import xml.etree.ElementTree as ElementTree
from collections import Counter
from pathlib import Path
from typing import Any

from tests.gpu import Failed

TESTS = Path(__file__).parents[1]
FAILURES_KEPT = 20


def run() -> dict[str, Any]:
    """Return how many passed, failed and were skipped, and what the failed ones said."""
    return run_tests(sorted(str(path) for path in TESTS.rglob("test_cuda.py")))


def run_tests(files: list[str]) -> dict[str, Any]:
    """Run the tests marked `gpu` in some files.

    Raises:
        Failed: one failed, or none was run.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        # a deprecation in another torch than CI's is no finding of this day
        words = ("-m", "gpu", "-q", "-W", "default", "-p", "no:cacheprovider", "--tb=short")
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", *words, f"--junitxml={report}", *files],
            cwd=TESTS.parent, capture_output=True, text=True, check=False,
        )  # fmt: skip
        if not report.exists():
            raise Failed(f"pytest ended with {ended.returncode}: {ended.stdout[-1500:]}")
        result = counted(report)
    if result["failed"] or result["errors"] or ended.returncode:
        raise Failed(f"{result['failed'] + result['errors']} tests failed", result)
    if not result["passed"]:
        raise Failed("no test was run", result)
    return result


def counted(report: Path) -> dict[str, Any]:
    """Return what a JUnit file of pytest says."""
    outcomes: Counter[str] = Counter()
    failures: list[dict[str, str]] = []
    skipped: Counter[str] = Counter()
    for case in ElementTree.parse(report).iter("testcase"):
        found = {part.tag: part for part in case}
        name = f"{case.get('classname')}::{case.get('name')}"
        outcome = next((tag for tag in ("failure", "error", "skipped") if tag in found), "passed")
        outcomes[outcome] += 1
        if outcome in ("failure", "error"):
            failures.append({"test": name, "text": (found[outcome].text or "")[-2000:]})
        if outcome == "skipped":
            skipped[found[outcome].get("message") or ""] += 1
    return {
        "passed": outcomes["passed"],
        "failed": outcomes["failure"],
        "errors": outcomes["error"],
        "skipped": dict(skipped),
        "failures": failures[:FAILURES_KEPT],
    }
