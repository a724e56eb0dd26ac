"""The tests marked `gpu`; all of them stand in files called test_cuda.py."""

import signal
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
LIMIT_S = 78.0  # of the section's; kernels are compiled the first time


def run() -> dict[str, Any]:
    """Return how many passed, failed and were skipped, and what the failed ones said."""
    return run_tests(sorted(str(path) for path in TESTS.rglob("test_cuda.py")))


def run_tests(files: list[str], limit_s: float = LIMIT_S) -> dict[str, Any]:
    """Run the tests marked `gpu` in some files; those not begun within `limit_s` are left out.

    Raises:
        Failed: one failed, some were left out, or none was run.
    """
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.xml"
        # a deprecation in another torch than CI's is no finding of this day
        words = ("-m", "gpu", "-q", "-W", "default", "-p", "no:cacheprovider", "--tb=short")
        process = subprocess.Popen(
            [sys.executable, "-m", "pytest", *words, f"--junitxml={report}", *files],
            cwd=TESTS.parent, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        in_time, said = True, ""
        try:
            said, _ = process.communicate(timeout=limit_s)
        except subprocess.TimeoutExpired:
            in_time = False
            process.send_signal(signal.SIGINT)  # it ends with a report of the tests that were run
            said, _ = process.communicate()
        if not report.exists():
            raise Failed(f"pytest ended with {process.returncode}: {said[-1500:]}")
        result = counted(report, whole=in_time)
    if result["failed"] or result["errors"] or (in_time and process.returncode):
        raise Failed(f"{result['failed'] + result['errors']} tests failed", result)
    if not in_time:
        raise Failed(f"not every test was begun within {limit_s:.0f} s", result)
    if not result["passed"]:
        raise Failed("no test was run", result)
    return result


def counted(report: Path, *, whole: bool = True) -> dict[str, Any]:
    """Return what a JUnit file of pytest says.

    Args:
        report: the file.
        whole: False: pytest was interrupted; of the last test it does not say so.
    """
    cases = list(ElementTree.parse(report).iter("testcase"))
    outcomes: Counter[str] = Counter()
    failures: list[dict[str, str]] = []
    skipped: Counter[str] = Counter()
    for case in cases if whole else cases[:-1]:
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
