"""Hostile table folders: `python -m tests.fuzz [--cases N] [--seed S]`.

Each case changes one whole, small table (bytes of a file, its length, its kind, or its manifest)
and then opens, verifies and reads it. What may happen: a clear error of ours, or the right rows.
Anything else (another exception, wrong rows without an error of `verify`) ends the run.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np

from engramctl.errors import EngramError
from engramctl.storage.integrity import verify
from engramctl.storage.reader import open_table
from tests.storage.test_format_document import FORMS, make, mutated

IDS = np.array([0, 1, 99, 100, 101, 379, 380, 599])
Random = np.random.Generator
DTYPES = ("f8_e4m3", "nvfp4", "f32")
WORDS = [b"\x00", b"\xff" * 8, b"[" * 9000, b"..", b"NaN", b"1e999", b'"a":1,"a":2', b"-1"]


class Target:
    """One whole table and what it holds, put back after each case."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
        table = open_table(folder)
        self.rows = {layer: table.read_rows(layer, IDS) for layer in table.layers}

    def restore(self, name: str) -> None:
        path = self.folder / name
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()
        path.write_bytes(self.files[name])


def flip(data: bytes, random: Random) -> bytes:
    """Other bits at some places, most of them near the beginning."""
    changed = bytearray(data)
    for _ in range(random.integers(1, 4)):
        reach = len(data) if random.integers(4) else min(len(data), 200)
        changed[random.integers(reach)] ^= 1 << random.integers(8)
    return bytes(changed)


def cut(data: bytes, random: Random) -> bytes:
    return data[: random.integers(len(data))]


def extend(data: bytes, random: Random) -> bytes:
    return data + bytes(random.integers(1, 5000))


def reorder(data: bytes, random: Random) -> bytes:
    """Two pieces changed places."""
    first, second = sorted(random.integers(0, len(data), 2))
    return data[first:second] + data[:first] + data[second:]


def insert(data: bytes, random: Random) -> bytes:
    at = random.integers(min(len(data), 300))
    return data[:at] + WORDS[random.integers(len(WORDS))] + data[at:]


def lengthen(data: bytes, random: Random) -> bytes:
    """Another length in the first eight bytes, absurd or near."""
    length = [0, 1 << 63, (1 << 64) - 1, 4089, 99_999_999][random.integers(5)]
    return length.to_bytes(8, "little") + data[8:]


def edit_manifest(data: bytes, random: Random) -> bytes:
    document = json.loads(data)
    for _ in range(random.integers(1, 3)):
        document = mutated(document, random)
    return json.dumps(document).encode()


BYTES: list[Callable[[bytes, Random], bytes]] = [flip, cut, extend, reorder, insert, lengthen]


def replace_kind(target: Target, name: str, random: Random) -> str:
    """Something that is no file of this folder, under its name."""
    path = target.folder / name
    path.unlink()
    outside = target.folder.parent / "outside"
    kind = random.integers(5)
    if kind == 0:
        outside.write_bytes(target.files[name])
        path.symlink_to(outside)
    elif kind == 1:
        path.symlink_to("/etc/passwd")
    elif kind == 2:
        path.mkdir()
    elif kind == 3:
        os.mkfifo(path)
    return ("link", "link to elsewhere", "folder", "fifo", "missing")[kind]


def attack(target: Target, random: Random) -> tuple[str, str]:
    """Run one case; returns what was done and how it ended."""
    names = list(target.files)
    name = "manifest.json" if random.integers(2) else names[random.integers(len(names))]
    if random.integers(20) == 0 and name != "manifest.json":
        done = replace_kind(target, name, random)
    else:
        change = BYTES[random.integers(len(BYTES))] if random.integers(3) else flip
        if name == "manifest.json" and random.integers(4):
            change = edit_manifest
        done = change.__name__
        (target.folder / name).write_bytes(change(target.files[name], random))
    try:
        return done, outcome(target)
    finally:
        target.restore(name)


def outcome(target: Target) -> str:
    """Open, read, verify: an error of ours, or the right rows."""
    try:
        table = open_table(target.folder)
        rows = {layer: table.read_rows(layer, IDS) for layer in table.layers}
    except EngramError as error:
        return f"{type(error).__name__} when opened"
    except ValueError:
        return "rows out of range"  # of a manifest with fewer rows
    right = rows.keys() == target.rows.keys() and all(
        np.array_equal(found, wanted)
        for layer, both in target.rows.items()
        for found, wanted in zip(rows[layer], both, strict=True)
    )
    try:
        verify(target.folder)
    except EngramError as error:
        return f"{type(error).__name__} from verify"
    if not right:
        raise AssertionError("wrong rows, and verify found nothing")
    return "the right rows"


def run(cases: int, seed: int, folder: Path) -> Counter[str]:
    """Run cases on tables of every form; returns how often each end came."""
    random = np.random.default_rng(seed)
    targets = [
        Target(make(folder / f"{dtype}{number}", dtype, *form))
        for dtype in DTYPES
        for number, form in enumerate(FORMS)
    ]
    ends: Counter[str] = Counter()
    for case in range(cases):
        target = targets[case % len(targets)]
        try:
            ends[attack(target, random)[1]] += 1
        except BaseException:
            print(f"case {case} of seed {seed} on {target.folder.name}", file=sys.stderr)
            raise
    return ends


def main() -> None:
    """Run the harness from a shell."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        for end, times in run(asked.cases, asked.seed, Path(name)).most_common():
            print(f"{times:>8,}  {end}")


if __name__ == "__main__":
    main()
