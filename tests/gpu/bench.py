"""`engramctl bench` on the gpu tier beside host: gathers, lookups and whole model steps."""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from tests.benchmarks.gather import packed_table
from tests.gpu import Failed

SLOTS = 20_000
WORDS = ("--tier", "gpu", "--tier", "host", "--samples", "60")


def run() -> Any:
    """Return the document of `bench --json`."""
    return measured("f8_e4m3", SLOTS, *WORDS)


def measured(dtype: str, slots: int, *words: str) -> Any:
    """Build a table, and return what `benched` does."""
    with tempfile.TemporaryDirectory() as folder:
        return benched(packed_table(Path(folder) / "shards", dtype, slots).path, *words)


def benched(table: Path, *words: str) -> Any:
    """Measure a table by the command, and return what it prints.

    Raises:
        Failed: the command ended with another exit code than 0.
    """
    ended = subprocess.run(
        [sys.executable, "-m", "engramctl", "bench", str(table), *words, "--json", "-q"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if ended.returncode:
        raise Failed(f"bench ended with {ended.returncode}: {ended.stderr[-2000:]}")
    return json.loads(ended.stdout)
