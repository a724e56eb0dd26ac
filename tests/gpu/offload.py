"""The paper's offload test by its recipe, cut to the time there is; the result says what was cut.

All of it is `engramctl bench --recipe engram-offload`, half an hour or so.
"""

import tempfile
from pathlib import Path
from typing import Any

from engramctl.schemes.options import SchemeOptions
from engramctl.sweep.recipes import table_of
from engramctl.tables.build import plan_build, run_build
from tests.gpu.bench import benched

NAME = "engram-offload"
CUT = ("--layers", "12", "--batch", "16", "--sequences", "80", "--lengths", "32-96")


def run() -> Any:
    """Return the document of `bench --recipe --json`."""
    return measured(*CUT)


def measured(*words: str) -> Any:
    """Build the recipe's small table and measure it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "shards"
        run_build(plan_build(SchemeOptions(**table_of(NAME, on_gpu=False)), tier="ssd"), path)
        return benched(path, "--recipe", NAME, *words)
