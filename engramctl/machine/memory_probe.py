"""How many random cache lines one core gets from memory: what bounds warm rows."""

import time
from typing import Any

import numpy as np

from engramctl.runtime.kernel_cache import njit
from engramctl.storage.record.intrinsics import prefetch_line

_BYTES = 512 << 20  # beyond every cache
_LINE = 64
_AHEAD = 16


@njit(nogil=True, cache=True)
def _read_lines(words: Any, address: Any, lines: Any) -> Any:
    """Sum one word of each line, asking for a later line meanwhile; return it, so it is done."""
    total = np.int64(0)
    for i in range(lines.shape[0]):
        if i + _AHEAD < lines.shape[0]:
            prefetch_line(address + lines[i + _AHEAD] * _LINE)
        total += words[lines[i] * (_LINE // 8)]
    return total


def random_lines_per_s(seconds: float = 0.3, num_bytes: int = _BYTES) -> float:
    """Measure one core's random lines of 64 bytes a second, as the gather kernel asks for them.

    Args:
        seconds: of measuring, about.
        num_bytes: of memory taken, beyond the processor's caches.
    """
    words = np.ones(num_bytes // 8, np.int64)
    lines = np.random.default_rng(0).integers(0, num_bytes // _LINE, 1 << 20)
    _read_lines(words, words.ctypes.data, lines[:1])  # compile
    done = 0
    started = time.perf_counter()
    while (took := time.perf_counter() - started) < seconds:
        _read_lines(words, words.ctypes.data, lines)
        done += len(lines)
    return done / took
