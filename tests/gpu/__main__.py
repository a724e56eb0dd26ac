"""Run every section and keep one JSON: `python -m tests.gpu [--out DIR]`.

Needs no installation (`PYTHONPATH=.`) and takes at most six minutes. Without a CUDA device the
sections are skipped with the reason, and the file is called gpu-none.json, which git ignores.
"""

import argparse
import re
import subprocess
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from engramctl.storage.files.atomic import write_json
from tests.gpu import SCHEMA, SECTIONS, Section
from tests.gpu.process import ROOT, run_section


def main() -> int:
    """Run all sections; return 1 when one failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.gpu", description=__doc__)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results", metavar="DIR")
    return run(SECTIONS, parser.parse_args().out)


def run(sections: Iterable[Section], out: Path) -> int:
    """Run sections one after the other; the file is written after each of them.

    Args:
        sections: the first one captures the environment.
        out: folder of the result, made when it is missing.

    Returns:
        1 when a section failed, else 0.
    """
    out.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    document: dict[str, Any] = {
        "schema": SCHEMA,
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": commit(),
        "seconds": 0.0,
        "environment": None,
        "sections": [],
    }
    for section in sections:
        found = skipped_or_run(section, document["environment"])
        if section.name == "environment":
            document["environment"], found["result"] = found["result"], None
        document["sections"].append(found)
        document["seconds"] = round(time.monotonic() - began, 1)
        print(line(found), flush=True)
        target = out / file_name(document["environment"])
        write_json(target, document)
    print(f"{target}, {document['seconds']} s")
    return int(any(found["status"] == "failed" for found in document["sections"]))


def skipped_or_run(section: Section, environment: dict[str, Any] | None) -> dict[str, Any]:
    """Run a section unless the environment is known to lack what it needs."""
    gpu = environment["gpu"] if environment else None
    if section.needs_gpu and gpu and not gpu["available"]:
        return {
            "name": section.name, "seconds": 0.0, "status": "skipped", "reason": gpu["reason"],
            "result": None,
        }  # fmt: skip
    return run_section(section)


def file_name(environment: dict[str, Any] | None) -> str:
    """Name the result after its device, so that none replaces that of another.

    Example:
        >>> file_name({"gpu": {"devices": [{"name": "NVIDIA H100 80GB HBM3"}]}})
        'gpu-nvidia-h100-80gb-hbm3.json'
        >>> file_name({"gpu": {"devices": []}})
        'gpu-none.json'
    """
    devices = environment["gpu"]["devices"] if environment else []
    name = devices[0]["name"] if devices else "none"
    return f"gpu-{re.sub('[^a-z0-9]+', '-', name.lower()).strip('-')}.json"


def commit() -> str | None:
    """Return the commit these files are of, with + when they were changed; None without git."""
    words = ("git", "describe", "--always", "--abbrev=40", "--exclude=*", "--dirty=+")
    try:
        said = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return said.stdout.strip()


def line(found: dict[str, Any]) -> str:
    """Return the one line a section prints."""
    reason = (found["reason"] or "").strip().splitlines()
    said = reason[-1] if reason else ""
    return f"{found['status']:8} {found['name']:14} {found['seconds']:6.1f} s  {said}".rstrip()


if __name__ == "__main__":
    sys.exit(main())
