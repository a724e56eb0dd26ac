"""Hostile JSON documents: `python -m tests.fuzz_documents [--cases N] [--seed S]`.

Each case changes one place of one document (a scheme.json of either kind, the config.json of a
model, what `mine` writes beside its counts) and then runs the commands that read it. What may
happen: a clear error of ours, or success. A traceback, a signal or another exit code ends the run.
"""

import copy
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from tests.checkpoints import make
from tests.conftest import run_in_process
from tests.fuzz import Random, shell
from tests.helpers.corpora import zipf_documents
from tests.helpers.mined_counts import mined, small_scheme
from tests.helpers.mined_counts import run as done

Words = tuple[object, ...]
STRANGE: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**31, 2**63, 10**38, 1.5, 1e300, "", "x", "\x1b[2J", "9" * 30,
    [], {}, [[]], [None], [0] * 300, {"a": 1},
)  # fmt: skip


def documents(folder: Path) -> dict[Path, list[Words]]:
    """Make small artefacts; the documents that are changed, each with the commands that read it."""
    scheme = small_scheme("deepseek-v41", 64, mapped=True, eos_id=6, slots=97, heads_per_order=2)
    file, counts = mined(folder, scheme, zipf_documents(seed=3, tokens=2000, vocabulary=40))
    done("build", "--scheme", file, "-o", folder / "tables")
    ngrams = folder / "dictionary.json"
    plain = ("rows", "/dev/null", "--scheme", "dictionary", "--counts", counts)
    done(*plain, "--save-scheme", ngrams)
    shards = ("layout", folder / "tables", "--dictionary", counts, "-o", folder / "shards")
    of_counts: list[Words] = [
        ("inspect", counts), ("verify", counts), ("inspect", file, "--counts", counts), plain,
        (*shards, "--dictionary-budget", "1MiB", "--dry-run"),
    ]  # fmt: skip
    found = {path: of_counts for path in sorted(counts.glob("*.json"))}
    for path in (file, ngrams):
        found[path] = [("inspect", path), ("rows", "/dev/null", "--scheme", path)]
    for name, made in (("v41", make.deepseek_v41), ("qwen", make.qwen), ("cat", make.longcat)):
        made(folder / name)
        found[folder / name / "config.json"] = [("inspect", folder / name)]
    return found


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Give the keys that lead to every value but the document; of a list to the first few."""
    inside: Iterator[tuple[Any, Any]] = iter(())
    if isinstance(value, dict):
        inside = iter(value.items())
    elif isinstance(value, list):
        inside = iter(list(enumerate(value))[:4])
    for key, one in inside:
        yield (*path, key)
        yield from places(one, (*path, key))


def changed(document: Any, random: Random) -> Any:
    """Return a document with one value left out, or another than it was."""
    document = copy.deepcopy(document)
    every = list(places(document))
    *path, key = every[random.integers(len(every))]
    owner = document
    for step in path:
        owner = owner[step]
    if isinstance(owner, dict) and random.integers(4) == 0:
        del owner[key]
    else:
        owner[key] = STRANGE[random.integers(len(STRANGE))]
    return document


def run(cases: int, seed: int, folder: Path) -> Counter[str]:
    """Run cases on every document; returns how often each exit code came."""
    random = np.random.default_rng(seed)
    commands = documents(folder)
    contents = {path: path.read_text() for path in commands}
    ends: Counter[str] = Counter()
    for case in range(cases):
        path = list(commands)[case % len(commands)]
        path.write_text(json.dumps(changed(json.loads(contents[path]), random)))
        for words in commands[path]:
            result = run_in_process(*words, "-q")
            if result.exit_code not in (0, 1, 2, 3):
                print(f"case {case} of seed {seed}: {path}, {words[0]}\n{result.stderr}")
                raise AssertionError(f"exit code {result.exit_code}")
            ends[f"exit {result.exit_code}"] += 1
        path.write_text(contents[path])
    return ends


if __name__ == "__main__":
    shell("tests.fuzz_documents", __doc__ or "", run)
