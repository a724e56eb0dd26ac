"""A package of our name with kernels, in a folder of its own, run in processes of its own."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

CALLER = """
from engramctl.helper import step
from engramctl.runtime.kernel_cache import compiled
from engramctl.limits import (
    TOP,
)

@compiled
def run(x):
    return step(x) * TOP
"""
HELPER = """
from engramctl.runtime.kernel_cache import njit

@njit(inline="always")
def step(x):
    return x + 1
"""
LOOK = """
import json
from engramctl.caller import run
from engramctl.runtime.kernel_cache import kernel_folder
value, folder = run(1), kernel_folder()
hits = sum(run.stats.cache_hits.values())
print(json.dumps({"value": value, "folder": folder and str(folder), "hits": hits}))
"""


class Package:
    """A package of our name with one kernel, its helper and its constant in files of their own."""

    def __init__(self, room: Path) -> None:
        self.room = room
        self.folder = room / "engramctl"
        self.home = room / "home"
        self.home.mkdir()
        self.folder.mkdir()
        for name in ("__init__.py", "runtime/__init__.py", "runtime/kernel_cache.py"):
            (self.folder / name).parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / "engramctl" / name, self.folder / name)
        for name in ("hashing", "storage"):
            (self.folder / name).mkdir()
            self.write(f"{name}/__init__", "")
        self.write("caller", CALLER)
        self.write("helper", HELPER)
        self.write("limits", "TOP = 10\n")
        self.write("other", "WORDS = 1\n")

    @property
    def bytecode(self) -> Path:
        return self.folder / "__pycache__"

    def write(self, name: str, text: str) -> None:
        (self.folder / f"{name}.py").write_text(text)

    def run(self, code: str = LOOK, words: tuple[str, ...] = (), **environment: object) -> Any:
        """Run the kernel in a process of its own."""
        hidden = ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME", "PYTHONDONTWRITEBYTECODE")
        kept = {name: value for name, value in os.environ.items() if name not in hidden}
        given = {name: str(value) for name, value in environment.items()}
        found = subprocess.run(
            [sys.executable, "-c", code, *words],
            env={**kept, "PYTHONPATH": str(self.room), "HOME": str(self.home), **given},
            capture_output=True, text=True, check=True, cwd=self.room,
        )  # fmt: skip
        return json.loads(found.stdout)

    def close_bytecode(self) -> None:
        """Leave no place for kernels beside the sources."""
        self.bytecode.symlink_to(self.room / "elsewhere")
