"""A section's own process: ended with all it started when its time is over."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.gpu import Section

ROOT = Path(__file__).parents[2]
KEPT = 2000  # last characters of what a failed process said


def run_section(section: Section) -> dict[str, Any]:
    """Run one section; whatever happens to it is told, not raised.

    Returns:
        name, status (ok, failed or skipped), reason, seconds, result.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="engramctl-gpu-") as folder:
        found = _outcome(section, Path(folder))
    return {"name": section.name, "seconds": round(time.monotonic() - began, 1)} | found


def _outcome(section: Section, folder: Path) -> dict[str, Any]:
    target, log = folder / "result.json", folder / "log"
    with log.open("wb") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.gpu.child", section.module, str(target)],
            cwd=ROOT, env=os.environ | {"TMPDIR": str(folder)}, stdin=subprocess.DEVNULL,
            stdout=said, stderr=said, start_new_session=True,
        )  # fmt: skip
        try:
            code = process.wait(section.limit_s)
        except subprocess.TimeoutExpired:
            return _failed(f"took longer than {section.limit_s} s", log, target)
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    if code:
        ended = f"died of {signal.Signals(-code).name}" if code < 0 else f"ended with {code}"
        return _failed(ended, log, target)
    found: dict[str, Any] = json.loads(target.read_text())
    return found


def _failed(reason: str, log: Path, target: Path) -> dict[str, Any]:
    """Return that it failed, with the rows that it had measured by then."""
    last = log.read_bytes().decode(errors="replace").strip()[-KEPT:]
    rows = json.loads(target.read_text())["result"] if target.exists() else None
    return {"status": "failed", "reason": f"{reason}: {last}" if last else reason, "result": rows}
