"""A medium so slow that steps would stand still is told of when it is opened."""

import mmap
import time

import numpy as np

from engramctl.storage.readers.batch import PAGE, Batch
from engramctl.storage.readers.choose import Chosen

STEP_PAGES = 48  # of a decode step of DeepSeek-V4.1, a page a row
SLOW_MS = 50.0


def slow_medium(chosen: Chosen) -> str | None:
    """Read as many random pages as a step does, and return what to expect where that is slow.

    Returns:
        a sentence with the tokens/s to expect; None: fast enough, or too few pages to say.
    """
    files = chosen.files
    pages = files.sizes // PAGE
    pages[: files.num_copies] = 0
    if int(pages.sum()) < STEP_PAGES:
        return None
    rng = np.random.default_rng()
    number = rng.choice(len(pages), STEP_PAGES, p=pages / pages.sum())
    buffer = np.frombuffer(mmap.mmap(-1, STEP_PAGES * PAGE), np.uint8)
    batch = Batch.of_pages(number, rng.integers(0, pages[number]), buffer)
    started = time.perf_counter()
    chosen.engine.start(batch).wait()
    took_ms = 1e3 * (time.perf_counter() - started)
    files.check(batch)
    if took_ms <= SLOW_MS:
        return None
    return (
        f"the disk of {files.paths[0].parent} is slow: {STEP_PAGES} random pages took "
        f"{took_ms:.0f} ms, so expect {1e3 / took_ms:.2g} tokens/s at most where a step's rows are "
        "not in memory; use tier host, or another disk"
    )
