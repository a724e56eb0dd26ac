"""What `python -m tests.flight` runs, each to lines of a table; `bad` tells of a broken promise."""

import json
import subprocess
import sys
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.flight.changed import CHANGES, served_while_changed
from tests.flight.compared import WAYS, Asking, opened
from tests.flight.faults import with_faults
from tests.flight.groups import memory_group
from tests.flight.subjects import FORMS, of_table, subjects
from tests.storage.tables import make_plan, write

Lines = list[dict[str, Any]]
TABLE_ROWS = 5003
COMBINATIONS = 68 * len(WAYS)  # subjects and ways
BUDGETS = (8 << 20, 64 << 20, 256 << 20)
BOUND = 1.05
ROW_BYTES = 66  # of the memory section's table: f8_e4m3 of 64 values


def rows(folder: Path, asked: Namespace) -> Lines:
    """Every combination; lines by mode, engine and layout."""
    each = max(1, asked.rows // COMBINATIONS)
    totals: dict[tuple[str, str, str], list[int]] = {}
    for number, subject in enumerate(subjects(folder, TABLE_ROWS)):
        for way, (mode, engine) in enumerate(WAYS):
            rng = np.random.default_rng((asked.seed, number, way))
            with opened(subject, mode, engine, rng) as store:
                asking = Asking(subject, store, rng)
                asking.ask(each // 2)
                asking.ask_from_threads(each // 4)
                if (number + way) % 3 == 0:
                    asking.ask_from_a_child(each // 8)
                asking.ask(max(0, each - asking.rows))
            total = totals.setdefault((mode, engine, subject.layout), [0, 0, 0])
            for k, more in enumerate((1, asking.rows, asking.wrong)):
                total[k] += more
    return [
        {"mode": mode, "engine": engine, "layout": layout, "dtypes": dtypes, "rows": compared,
         "wrong": wrong, "bad": bool(wrong)}
        for (mode, engine, layout), (dtypes, compared, wrong) in totals.items()
    ]  # fmt: skip


def faults(folder: Path, asked: Namespace) -> Lines:
    """Every layout, f8_e4m3 and bf16, a hundredth of the rows."""
    lines = []
    for number, (form, page, heads) in enumerate(FORMS):
        for dtype in ("f8_e4m3", "bf16"):
            subject = of_table(folder / f"{number}{dtype}", dtype, form, page, heads, TABLE_ROWS)
            rng = np.random.default_rng((asked.seed, number))
            done = with_faults(subject, max(2000, asked.rows // 1000), rng)
            lines.append(
                {"layout": subject.layout, "dtype": dtype, "rows": done.rows,
                 "errors": done.errors, "wrong": done.wrong, "bad": bool(done.wrong)}
            )  # fmt: skip
    return lines


def changed(folder: Path, asked: Namespace) -> Lines:
    """Every change, in every way in which it cannot end in a signal."""
    lines = []
    for change in CHANGES:
        for mode, engine in WAYS:
            if mode == "mapped" and change == "truncated":
                continue  # a signal there, or an error where a handler for it is set
            found = served_while_changed(folder / f"{change}-{mode}-{engine}", change, mode, engine)
            lines.append({"change": change, "mode": mode, "engine": engine, **found})
    return lines


def memory(folder: Path, asked: Namespace) -> Lines:
    """Every budget and engine, in a process each, in a memory cgroup where one can be made."""
    lines = []
    plan = make_plan(
        form="planar", row_dim=64, rows={1: 4 * BUDGETS[-1] // ROW_BYTES}, shard_rows=5_000_000,
        extent_bytes=1 << 22,
    )  # fmt: skip
    write(plan, folder / "table")
    for budget in BUDGETS:
        for engine in ("io_uring", "pread"):
            with memory_group() as group:
                lines.append(_served(folder / "table", engine, budget, asked, group))
    return lines


def _served(
    table: Path, engine: str, budget: int, asked: Namespace, group: Path | str
) -> dict[str, Any]:
    words = [str(table), engine, str(budget), str(asked.seconds), str(asked.seed)]
    words += [str(group)] if isinstance(group, Path) else []
    done = subprocess.run(
        [sys.executable, "-m", "tests.flight.served", *words], capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    line = {"engine": engine, "budget_MiB": budget >> 20, "table_MiB": 4 * BUDGETS[-1] >> 20}
    if done.returncode:
        last = (done.stderr.strip().splitlines() or [f"ended with {done.returncode}"])[-1]
        return {**line, "found": last, "bad": True}
    found = json.loads(done.stdout)
    return {
        **line, "seconds": found["seconds"], "rows": found["rows"],
        "grown_of_budget": round(found["of_budget"], 3), "p50_us": round(found["p50_us"]),
        "p99_us": round(found["p99_us"]),
        "cgroup": "limited" if isinstance(group, Path) else f"none: {group}",
        "bad": found["of_budget"] > BOUND,
    }  # fmt: skip


SECTIONS: dict[str, Callable[[Path, Namespace], Lines]] = {
    "rows": rows,
    "faults": faults,
    "changed": changed,
    "memory": memory,
}
