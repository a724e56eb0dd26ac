"""Hostile table folders: `python -m tests.fuzz [--cases N] [--seed S]`.

Each case changes one whole, small table (bytes of a file, its length, its kind, or its manifest)
and then opens, verifies and reads it, with the plain reader and through every tier of a CPU. What
may happen: a clear error of ours, or the right rows.
Anything else (another exception, wrong rows without an error of `verify`) ends the run.

Some tables have an n-gram dictionary. Keys are looked up and records read; the same holds for them.
Whatever was done to the dictionary's files, the table is whole without them.
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
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from engramctl.errors import EngramError
from engramctl.storage import open_store
from engramctl.storage.dictionary.read import DictionaryFiles
from engramctl.storage.reading.table import TableFiles, open_table
from engramctl.storage.record.codecs import decode
from engramctl.storage.verifying.integrity import verify
from tests.storage import dictionaries
from tests.storage.format.document import FORMS, make, mutated

IDS = np.array([0, 1, 99, 100, 101, 379, 380, 599])
KEYS = np.concatenate([dictionaries.present()[1], dictionaries.absent()[1]])
Random = np.random.Generator
Answer = tuple[NDArray[np.int64], NDArray[np.uint8]]
DTYPES = ("f8_e4m3", "nvfp4", "f32")
TIERS = ("host", "ssd")
POISON = 777.0
WORDS = [b"\x00", b"\xff" * 8, b"[" * 9000, b"..", b"NaN", b"1e999", b'"a":1,"a":2', b"-1"]


class Target:
    """One whole table and what it holds, put back after each case."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.files = {path.name: path.read_bytes() for path in sorted(folder.iterdir())}
        table = open_table(folder)
        self.rows = {layer: table.read_rows(layer, IDS) for layer in table.layers}
        self.dictionary = table.manifest.dictionary
        self.dictionary_files = [] if self.dictionary is None else list(self.dictionary.sizes)
        self.answers = [] if self.dictionary is None else look_up(table)
        for found, _ in self.answers:
            assert set((found >= 0).tolist()) == {False, True}

    def restore(self, name: str) -> None:
        self.remove(name)
        (self.folder / name).write_bytes(self.files[name])

    def remove(self, name: str) -> None:
        path = self.folder / name
        if path.is_symlink() or path.is_file():
            path.unlink()
        elif path.is_dir():
            shutil.rmtree(path)
        elif path.exists():
            path.unlink()


def look_up(table: TableFiles) -> list[Answer]:
    """For each order the record of every key, and what the first of them hold."""
    answers = []
    with DictionaryFiles.open(table.path, table.manifest) as dictionary:
        for order_index in range(len(dictionary.dictionary.orders)):
            found = dictionary.find(order_index, KEYS)
            answers.append((found, dictionary.read(found[found >= 0][:8])))
    return answers


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


def edit_dictionary(data: bytes, random: Random) -> bytes:
    """A dictionary that could be one, or none."""
    document = json.loads(data)
    facts = document["dictionary"]
    choices: dict[str, Any] = {
        "orders": [[2], [4], [1, 2], [2, 3], [4, 2], [2, 3, 4]][random.integers(6)],
        "key_bits": int(random.integers(1, 129)),
        "entries": [facts["entries"] + int(random.integers(-9, 10)), 2**32 - 1][random.integers(2)],
        "heads_per_order": [1, 3, 4, 1 << 20][random.integers(4)],
        "bucket_bits": int(random.integers(1, 25)),
        "table_xxh3_128": facts["files"][0]["xxh3_128"][0],
        "files": facts["files"][::-1],
    }
    for name in random.choice(list(choices), random.integers(4), replace=False):
        facts[name] = choices[name]
    document["dictionary"] = facts if random.integers(9) else None
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
    touched = chosen(target, random)
    try:
        done = ", ".join(damage(target, name, random) for name in touched)
        end = outcome(target)
        if set(touched) <= set(target.dictionary_files):
            touched = target.dictionary_files
            for name in touched:
                target.remove(name)
            assert outcome(target) == "FormatError from the dictionary"
        return done, end
    finally:
        for name in touched:
            target.restore(name)


def chosen(target: Target, random: Random) -> list[str]:
    """The manifest, a file, or, where there is a dictionary, one of its files or both."""
    kind = random.integers(6 if target.dictionary_files else 4)
    if kind < 2:
        return ["manifest.json"]
    names = list(target.files) if kind < 4 else target.dictionary_files
    if kind == 5 and random.integers(4) == 0:
        return names
    return [names[random.integers(len(names))]]


def damage(target: Target, name: str, random: Random) -> str:
    """Change one file; returns what was done."""
    if random.integers(20) == 0 and name != "manifest.json":
        return replace_kind(target, name, random)
    change = BYTES[random.integers(len(BYTES))] if random.integers(3) else flip
    if name == "manifest.json" and random.integers(4):
        change = edit_manifest
        if target.dictionary is not None and random.integers(2):
            change = edit_dictionary
    (target.folder / name).write_bytes(change(target.files[name], random))
    return change.__name__


def outcome(target: Target) -> str:
    """Open, read, look up, verify: an error of ours, or the right rows and records."""
    try:
        table = open_table(target.folder)
        rows = {layer: table.read_rows(layer, IDS) for layer in table.layers}
        for tier in TIERS:
            check_tier(table, tier, rows)
    except EngramError as error:
        return f"{type(error).__name__} when opened"
    except ValueError:
        return "rows out of range"  # of a manifest with fewer rows
    end, right = looked_up(target, table) if target.dictionary else ("the right rows", True)
    right = right and rows.keys() == target.rows.keys()
    right = right and all(
        np.array_equal(found, wanted)
        for layer, both in target.rows.items()
        for found, wanted in zip(rows[layer], both, strict=True)
    )
    try:
        verify(target.folder)
    except EngramError as error:
        return f"{type(error).__name__} from verify"
    if not right:
        raise AssertionError("wrong rows or records, and verify found nothing")
    return end


def check_tier(
    table: TableFiles, tier: str, rows: dict[int, tuple[NDArray[np.uint8], NDArray[np.uint8]]]
) -> None:
    """Gather every row of the table; those that were read plainly are the same."""
    with open_store(table.path, tier, dtype=torch.float32) as store:
        for layer, parts in rows.items():
            out = torch.full((table.num_rows(layer), store.row_dim), POISON)
            store.gather(layer, np.arange(table.num_rows(layer)), out)
            with np.errstate(all="ignore"):  # bits of a damaged row
                wanted = decode(
                    table.record, np.concatenate(parts, axis=1), table.table_scale(layer)
                )
            found = out.numpy()[IDS]
            assert np.array_equal(found, wanted, equal_nan=True), f"{tier} gathers other rows"


def looked_up(target: Target, table: TableFiles) -> tuple[str, bool]:
    """How looking up ended, and whether all that was found is right."""
    try:
        answers = look_up(table)
    except EngramError as error:
        return f"{type(error).__name__} from the dictionary", True
    right = all(
        np.array_equal(found, wanted) and np.array_equal(records, known)
        for (found, records), (wanted, known) in zip(answers, target.answers, strict=True)
    )
    return "the right rows and records", right


def run(cases: int, seed: int, folder: Path) -> Counter[str]:
    """Run cases on tables of every form; returns how often each end came."""
    random = np.random.default_rng(seed)
    targets = [
        Target(make(folder / f"{dtype}{number}", dtype, *form))
        for dtype in DTYPES
        for number, form in enumerate(FORMS)
    ]
    targets += [
        Target(make(folder / f"dictionary{number}", "f8_e4m3", *form, dictionary=True))
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


def shell(program: str, about: str, run: Callable[[int, int, Path], Counter[str]]) -> None:
    """Run a harness from a shell, in memory where there is a file system in memory."""
    parser = argparse.ArgumentParser(prog=f"python -m {program}", description=about)
    parser.add_argument("--cases", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as name:
        for end, times in run(asked.cases, asked.seed, Path(name)).most_common():
            print(f"{times:>8,}  {end}")


if __name__ == "__main__":
    shell("tests.fuzz", __doc__ or "", run)
