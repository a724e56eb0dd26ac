"""Files changed under a store that a thread asks for rows, over and over.

Cut or replaced, the rows are those of the file as it was, or an error comes, within a second and
for ever. What is overwritten in place may be served for that second: old bytes or new ones, row by
row or byte by byte; nothing of ours can tell. Then the error.
"""

import os
import threading
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch

from engramctl.errors import StorageError
from engramctl.storage import open_store
from engramctl.storage.reading.table import open_table
from tests.storage.tables import make_plan, write

CHANGES = ("truncated", "overwritten", "replaced")
ROWS, ROW_DIM, BATCH = 20_011, 64, 300
BUDGET = 4 << 20
BEFORE_S, WITHIN_S, AFTER_S = 0.3, 1.5, 0.3  # a second, and a slow machine
LOOK_NS = 1_000_000_000


class Reader(threading.Thread):
    """Gathers until told to end; keeps what came and when."""

    def __init__(self, store: Any, values: list[torch.Tensor]) -> None:
        super().__init__(daemon=True)
        self.store, self.values = store, values
        self.rng = np.random.default_rng(0)
        self.going = True
        self.rows = self.wrong = self.after_error = 0
        self.first_error: float | None = None
        self.other: BaseException | None = None

    def run(self) -> None:
        while self.going:
            ids = self.rng.integers(0, ROWS, BATCH)
            out = torch.full((BATCH, ROW_DIM), 777.0)
            try:
                if self.rng.random() < 0.5:
                    self.store.gather(1, ids, out)
                else:
                    self.store.prefetch({1: ids}).wait(1, out)
            except StorageError:
                self.first_error = self.first_error or time.monotonic()
                continue
            except BaseException as error:
                self.other = error
                return
            self.after_error += self.first_error is not None
            right = torch.zeros(BATCH, dtype=torch.bool)
            for one in self.values:
                right |= (out == one[ids]).all(dim=1)
            self.rows += BATCH
            self.wrong += int((~right).sum())


def change_file(path: Path, change: str, other: bytes) -> None:
    """Change a row file."""
    if change == "truncated":
        os.truncate(path, path.stat().st_size // 2)
    elif change == "overwritten":
        with path.open("r+b") as file:
            file.write(other)
    else:
        new = path.with_suffix(".new")
        new.write_bytes(other)
        new.rename(path)


def served_while_changed(folder: Path, change: str, mode: str, engine: str) -> dict[str, Any]:
    """Serve, change, and see what came: rows, wrong ones, and when the error."""
    paths = {}
    for seed, name in enumerate(("one", "other")):
        plan = make_plan(form="paged", row_dim=ROW_DIM, rows={1: ROWS}, shard_rows=9000, seed=seed)
        write(plan, folder / name)
        paths[name] = open_table(folder / name).regions(1)[0].path
    every = np.arange(ROWS)
    values = [torch.from_numpy(open_table(folder / "one").read_values(1, every))]
    if change == "overwritten":
        values.append(torch.from_numpy(open_table(folder / "other").read_values(1, every)))
    budget = BUDGET if mode == "direct" else None
    with open_store(folder / "one", "ssd", budget, torch.float32, engine=engine) as store:
        reader = Reader(store, values)
        reader.start()
        time.sleep(BEFORE_S)
        began = time.monotonic()
        change_file(paths["one"], change, paths["other"].read_bytes())
        while reader.first_error is None and time.monotonic() < began + WITHIN_S:
            time.sleep(0.01)
        time.sleep(AFTER_S)
        reader.going = False
        reader.join()
    told = None if reader.first_error is None else round(reader.first_error - began, 2)
    return {
        "rows": reader.rows, "wrong": reader.wrong, "error_after_s": told,
        "served_after_it": reader.after_error, "other": str(reader.other or ""),
        "bad": bool(reader.wrong or reader.after_error or told is None or reader.other),
    }  # fmt: skip
