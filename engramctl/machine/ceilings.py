"""The most rows a second that disk and memory could give, measured in the run that asks."""

from pathlib import Path
from typing import Any

from engramctl.errors import ConfigError, StorageError
from engramctl.machine.disk_probe import best_rate, probe_disk
from engramctl.machine.memory_probe import random_lines_per_s

_LINE = 64
_SECONDS = 0.1  # of each measurement: a dozen stand before a run


def largest_file(path: Path) -> Path:
    """Return the largest file of a folder; a file is itself."""
    if not path.is_dir():
        return path
    files = [one for one in path.iterdir() if one.is_file()]
    return max(files, key=lambda one: one.stat().st_size, default=path)


class Ceilings:
    """What a run's figures are held against; measured when first asked for.

    Attributes:
        disk: see `probe_disk`, or the reason why there is none under `reason`; None: not asked.
        memory_lines_per_s: random lines that one core gets; None: not asked.
    """

    def __init__(self, file: Path) -> None:
        """Measure nothing yet; `file` is one that rows are read from."""
        self._file = file
        self.disk: dict[str, Any] | None = None
        self.memory_lines_per_s: float | None = None

    def document(self) -> dict[str, Any]:
        """Return what was measured."""
        return {"disk": self.disk, "memory_lines_per_s": self.memory_lines_per_s}

    def of_disk(self, pages_per_row: float) -> float | None:
        """Return rows a second at the best rate of any engine, each row's pages read once."""
        if self.disk is None:
            try:
                self.disk = probe_disk(self._file, _SECONDS)
            except (ConfigError, StorageError) as error:
                self.disk = {"reason": error.message}
        best = None if "reason" in self.disk else best_rate(self.disk)
        return None if best is None else best / pages_per_row

    def of_memory(self, record_bytes: int) -> float:
        """Return rows a second at one core's rate of random cache lines.

        Args:
            record_bytes: of a row; records begin anywhere in a line.
        """
        if self.memory_lines_per_s is None:
            self.memory_lines_per_s = random_lines_per_s(_SECONDS)
        return self.memory_lines_per_s / (1 + (record_bytes - 1) / _LINE)
