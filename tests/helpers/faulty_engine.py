"""A read engine in which everything goes wrong that a disk and a kernel can do."""

import ctypes
import threading
import time
from dataclasses import dataclass, field

import numpy as np

from engramctl.storage.readers.batch import ADDRESS, FILE, LENGTH, NEEDED, OFFSET, Batch
from engramctl.storage.readers.open_files import OpenFiles


@dataclass
class FaultyEngine:
    """Reads in a random order, in several short pieces, late; the `fails`th range with an error.

    Attributes:
        files: what is read.
        seed: of order, cuts and delays.
        fails: number of the range that fails, counted over all batches; -1: none.
        error: with which it fails; 0: it ends early.
        delay_s: most a batch is late.
    """

    files: OpenFiles
    seed: int = 0
    fails: int = -1
    error: int = 5
    delay_s: float = 0.0
    name: str = "faulty"
    depth: int = 8
    done: int = 0
    threads: list[threading.Thread] = field(default_factory=list)

    def start(self, batch: Batch) -> "_Late":
        rng = np.random.default_rng((self.seed, self.done))
        thread = threading.Thread(target=self._read, args=(batch, rng))
        self.threads.append(thread)
        thread.start()
        return _Late(thread)

    def _read(self, batch: Batch, rng: np.random.Generator) -> None:
        time.sleep(float(rng.uniform(0, self.delay_s)))
        for i in rng.permutation(len(batch.ranges_R5)).tolist():
            line = batch.ranges_R5[i].tolist()
            number, fails = self.done, False
            self.done += 1
            fails = number == self.fails
            with self.files.paths[line[FILE]].open("rb") as file:
                file.seek(line[OFFSET])
                data = file.read(line[LENGTH])
            if fails:
                batch.got_R[i] = -self.error if self.error else len(data) // 2
                continue
            done = 0
            while done < len(data):  # pieces of any size, as short reads bring them
                size = int(rng.integers(1, len(data) - done + 1))
                target = np.frombuffer(_memory(line[ADDRESS] + done, size), np.uint8)
                target[:] = np.frombuffer(data[done : done + size], np.uint8)
                done += size
            batch.got_R[i] = done
            assert done >= line[NEEDED]

    def close(self) -> None:
        for thread in self.threads:
            thread.join()


@dataclass(frozen=True)
class _Late:
    thread: threading.Thread

    def wait(self, first: int | None = None) -> None:
        self.thread.join()

    def over(self) -> bool:
        return not self.thread.is_alive()


def _memory(address: int, size: int) -> memoryview:
    return memoryview((ctypes.c_ubyte * size).from_address(address)).cast("B")
