"""The most that disk, memory and compute device could give, measured in the run that asks."""

from pathlib import Path
from typing import Any

import torch

from engramctl.errors import ConfigError, StorageError
from engramctl.machine.compute_probe import bytes_per_s, flops_per_s
from engramctl.machine.disk_probe import best_rate, probe_disk
from engramctl.machine.memory_probe import random_lines_per_s

_LINE = 64
MOST_STREAMED = 256 << 20
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
        flops_per_s: of products of matrices, by dtype.
        bytes_per_s: of reading in order, by the bytes of what is read.
    """

    def __init__(self, file: Path, device: torch.device | None = None) -> None:
        """Measure nothing yet.

        Args:
            file: one that rows are read from.
            device: that computes; None: the CPU.
        """
        self._file = file
        self._device = device or torch.device("cpu")
        self.flops_per_s: dict[str, float] = {}
        self.bytes_per_s: dict[int, float] = {}
        self.disk: dict[str, Any] | None = None
        self.memory_lines_per_s: float | None = None

    def document(self) -> dict[str, Any]:
        """Return what was measured."""
        return {
            "disk": self.disk,
            "memory_lines_per_s": self.memory_lines_per_s,
            "flops_per_s": self.flops_per_s,
            "bytes_per_s": {str(size): rate for size, rate in self.bytes_per_s.items()},
        }

    def of_products(self, dtype: torch.dtype) -> float:
        """Return FLOPs a second of products of matrices, a multiply-add counted as two."""
        name = str(dtype).removeprefix("torch.")
        if name not in self.flops_per_s:
            self.flops_per_s[name] = flops_per_s(dtype, self._device, _SECONDS)
        return self.flops_per_s[name]

    def of_streams(self, num_bytes: int) -> float:
        """Return bytes a second of reading so many in order, again and again.

        They are rounded down to a power of two, and to MOST_STREAMED: a larger piece is not faster.
        """
        size = min(1 << max(num_bytes, 1).bit_length() - 1, MOST_STREAMED)
        if size not in self.bytes_per_s:
            self.bytes_per_s[size] = bytes_per_s(size, self._device, _SECONDS)
        return self.bytes_per_s[size]

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
