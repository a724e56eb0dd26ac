"""Hostile checkpoints: `python -m tests.fuzz_checkpoints [--cases N] [--seed S]`.

Each case changes one file of a small checkpoint (its header, its index, its config, a sidecar, its
length) and then opens it and reads every row. What may happen: a clear error of ours, or rows; a
checkpoint has no checksums, so they may be other rows. Anything else ends the run, and so does a
read that gives rows of other sizes than the tables told.
"""

import resource
import time
from collections import Counter
from pathlib import Path

import numpy as np

from engramctl.checkpoints.opening import open_checkpoint
from engramctl.errors import EngramError
from engramctl.storage.reading.source import RecordReader
from tests.checkpoints import make, make_gguf, variants
from tests.conftest import run_in_process
from tests.fuzz import BYTES, Random, flip, shell

MOST_ROWS = 1 << 20
SLOW_S = 20.0
MOST_MEMORY_BYTES = 8 << 30  # an absurd count that is believed shall end, not fill the machine


def checkpoints(folder: Path) -> list[Path]:
    """Make one of every kind."""
    made = [folder / name for name in ("v41", "qwen", "nvfp4", "longcat", "raw")]
    make.deepseek_v41(made[0])
    make.qwen(made[1])
    make.qwen(made[2], "nvfp4")
    make.longcat(made[3])
    for name in ("ranks-padded-heads", "ranks-heads-in-turn", "qwen-int4", "v41-f8-f32"):
        made.append(folder / name)
        made[-1].mkdir()
        variants.VARIANTS[name](made[-1])
    made.append(folder / "partial")
    variants.VARIANTS["prefix-model"](made[-1])
    (made[-1] / "model-00001-of-00003.safetensors").unlink()
    (made[-1] / "outside.safetensors").write_bytes(bytes(9))
    shards = folder / "shards"
    for words in (
        ("layout", made[0], "-o", shards),
        ("export", shards, "-o", made[4], "--family", "raw-shards", "--parts", 2),
    ):
        assert run_in_process(*words, "-q").exit_code == 0
    scheme = make_gguf.engram_scheme()
    made.append(folder / "constants.gguf")
    make_gguf.write(made[-1], make_gguf.engram_tensors(scheme))
    for kind in ("Q4_K", "Q3_K"):
        tables = [
            {make_gguf.TABLE.format(layer): make_gguf.packed_rows(kind, 20, 256)[0]}
            for layer in (1, 14)
        ]
        made.append(folder / f"split-{kind}")
        make_gguf.split(made[-1], tables, kind)
    made.append(folder / "bytes.gguf")
    random = np.random.default_rng(1)
    make_gguf.write(made[-1], {
        make_gguf.TABLE.format(1): random.integers(0, 100, (30, 264)).astype(np.int8),
    })  # fmt: skip
    made.append(folder / "beside.gguf")
    make_gguf.write(made[-1], {
        make_gguf.TABLE.format(1): random.integers(0, 100, (30, 64)).astype(np.int8),
        "blk.1.engram_embd.scale": np.ones((30, 2), np.float16),
    })  # fmt: skip
    for kind in ("Q8_0", "BF16"):
        made.append(folder / kind / "model.gguf")
        made[-1].parent.mkdir()
        make.gguf_file(made[-1], kind)
    return made


def files_of(checkpoint: Path) -> list[Path]:
    return [checkpoint] if checkpoint.is_file() else sorted(
        path for path in checkpoint.rglob("*") if path.is_file()
    )  # fmt: skip


def changed(data: bytes, random: Random) -> bytes:
    """Change a file, most often near its beginning, where headers are."""
    change = BYTES[random.integers(len(BYTES))] if random.integers(3) else flip
    if data and random.integers(2):
        size = min(len(data), 1 << int(random.integers(4, 13)))
        return change(data[:size], random) + data[size:]
    return change(data, random) if data else data


def outcome(checkpoint: Path) -> str:
    """Open, read everything: an error of ours, or rows."""
    try:
        rows = open_checkpoint(checkpoint).rows
        with RecordReader(rows) as reader:
            for layer in rows.layers:
                count = rows.num_rows(layer)
                if count > MOST_ROWS:
                    raise AssertionError(f"{count:,} rows of a small checkpoint")
                out = np.full((count, rows.record.record_bytes), 0xA5, np.uint8)
                reader.read(layer, 0, out)
    except EngramError as error:
        return type(error).__name__
    return "rows"


def run(cases: int, seed: int, folder: Path) -> Counter[str]:
    """Run cases on every kind of checkpoint; returns how often each end came."""
    random = np.random.default_rng(seed)
    targets = checkpoints(folder)
    contents = {path: path.read_bytes() for one in targets for path in files_of(one)}
    ends: Counter[str] = Counter()
    for case in range(cases):
        target = targets[case % len(targets)]
        names = [path for path in contents if path == target or target in path.parents]
        path = names[random.integers(len(names))]
        path.write_bytes(changed(contents[path], random))
        start = time.monotonic()
        try:
            ends[outcome(target)] += 1
        except BaseException:
            print(f"case {case} of seed {seed}: {path}")
            raise
        if time.monotonic() - start > SLOW_S:
            raise AssertionError(f"case {case} of seed {seed} took too long: {path}")
        path.write_bytes(contents[path])
    return ends


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY_BYTES,) * 2)
    shell("tests.fuzz_checkpoints", __doc__ or "", run)
