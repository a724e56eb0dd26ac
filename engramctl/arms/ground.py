"""The same ground under every sample, whichever arm it is of: untimed, and never left out.

What one arm leaves behind would be in the time of the next: lines in the processor's caches, and
threads of torch's pool, which spin for more work before they sleep. libgomp, which torch's wheels
bring, kept a thread spinning for 7 to 11 ms after a parallel product here, for 25 ms when other
programs shared the two cores. So a sample begins with a rest until no other thread of this process
runs, then with the same piece of memory work by one thread. (LLVM's and Intel's runtimes spin for
200 ms unless KMP_BLOCKTIME says otherwise; the rest is shorter, that a run may end.)
"""

import os
import threading
import time
from pathlib import Path

import numpy as np
import torch

from engramctl.arms.threads import Threads, threads_now

NAP_S = 0.001
REST_AT_MOST_S = 0.05
SWEPT_BYTES = 8 << 20  # more than the second-level cache of a core
SWEPT_DEVICE_BYTES = 128 << 20  # more than the cache of a GPU
_TASKS = Path("/proc/self/task")


class Ground:
    """What comes between getting ready for a sample and its start."""

    def __init__(self, device: torch.device, threads: Threads | None = None) -> None:
        """Take the memory that is swept, on the host and on a CUDA `device`.

        Args:
            device: that computes.
            threads: with which every sample begins; None: those of now.
        """
        self.device = device
        self.threads = threads or threads_now()
        self.swept = np.zeros(SWEPT_BYTES, np.uint8)
        self._swept_on_device = (
            torch.zeros(SWEPT_DEVICE_BYTES, dtype=torch.uint8, device=device)
            if device.type == "cuda"
            else None
        )

    def level(self) -> None:
        """Set the number of threads, wait for the device, rest, sweep."""
        self.threads.set()
        synchronise(self.device)
        rest()
        np.add(self.swept, 1, out=self.swept)
        if self._swept_on_device is not None:
            self._swept_on_device.add_(1)
            synchronise(self.device)


def rest() -> None:
    """Sleep for NAP_S at least, then until no other thread of this process runs.

    Gives up after REST_AT_MOST_S: then what runs on is in every arm's time alike.
    """
    end = time.monotonic() + REST_AT_MOST_S
    time.sleep(NAP_S)
    while others_run() and time.monotonic() < end:
        time.sleep(NAP_S)


def others_run() -> bool:
    """Tell whether another thread of this process runs or could run, as the kernel has it."""
    me = str(threading.get_native_id())
    return any(name != me and _state(name) == "R" for name in os.listdir(_TASKS))


def _state(task: str) -> str | None:
    """Return a thread's state, the first word after its name; None when it has ended."""
    try:
        return (_TASKS / task / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return None


def synchronise(device: torch.device) -> None:
    """Wait for a CUDA device; nothing elsewhere."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
