"""Small files that ask for a machine: `python -m tests.bombs FOLDER`.

Each is a few megabytes at most and says, in some place, that there is much more. Whatever reads it
must refuse in little memory: this runs every reader in one process whose address space may grow by
`ROOM_BYTES` over what harmless files need, and prints what came of it as JSON.
"""

import base64
import json
import os
import resource
import struct
import sys
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from engramctl.storage.record_log.log_format import LogFormat
from tests.conftest import run_in_process
from tests.helpers.small_table import SMALL_BUILD

ROOM_BYTES = 640 << 20
Words = tuple[object, ...]
BOOL, NUMBER, STRING, ARRAY = 7, 4, 8, 9  # kinds of GGUF values


def zeros(num_bytes: int) -> str:
    """Return zlib of zeros as base64: a thousandth of them."""
    packer, piece = zlib.compressobj(9), bytes(1 << 20)
    data = b"".join(packer.compress(piece) for _ in range(num_bytes >> 20))
    return base64.b64encode(
        data + packer.compress(bytes(num_bytes % (1 << 20))) + packer.flush()
    ).decode()


def table(folder: Path) -> Path:
    """Build a harmless table."""
    made = run_in_process("build", *SMALL_BUILD, "-q", "-o", folder / "table")
    assert made.exit_code == 0, made.stderr
    return folder / "table"


def edited(folder: Path, change: Callable[[Any], None]) -> Path:
    """Build a table and change its manifest."""
    path = table(folder)
    manifest = json.loads((path / "manifest.json").read_text())
    change(manifest)
    (path / "manifest.json").write_text(json.dumps(manifest))
    return path


def of_text(folder: Path, text: str) -> Path:
    """Build a table whose manifest is a text."""
    path = table(folder)
    (path / "manifest.json").write_text(text)
    return path


def token_map(num_ids: int, unpacked_bytes: int) -> dict[str, Any]:
    return {"kind": "map", "num_ids": num_ids, "num_canonical": 1, "sha256": "0" * 64,
            "ids_zlib_base64": zeros(unpacked_bytes)}  # fmt: skip


def ngrams(order: int, num: int) -> dict[str, Any]:
    """Return the scheme of a dictionary whose n-grams are all zeros."""
    return {
        "schema": "engramctl.scheme/1",
        "name": "dictionary",
        "orders": [order],
        "canonical": {"kind": "identity", "num_ids": 9, "num_canonical": 9},
        "boundary": {"fill": 0, "stop": [], "block": [], "negative": "refuse"},
        "ngrams": {"num_ngrams": num, "per_order": [num], "sha256": "0" * 64,
                   "list_zlib_base64": zeros(num + 4 * order * num)},
        "store": {"row_dim": 32, "dtype": "bf16"},
        "fuse": {"kind": "dictionary"},
        "layers": [{"layer": 0, "num_rows": num}],
    }  # fmt: skip


def scheme_file(folder: Path, document: dict[str, Any]) -> Path:
    path = folder / "scheme.json"
    path.write_text(json.dumps(document))
    return path


def safetensors(folder: Path, header: str, data_bytes: int = 64) -> Path:
    text = header.encode()
    (folder / "m.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + bytes(data_bytes))
    return folder


def gguf(folder: Path, fact: bytes, pairs: int = 1, tensors: bytes = b"", num: int = 0) -> Path:
    path = folder / "model.gguf"
    path.write_bytes(b"GGUF" + struct.pack("<IQQ", 3, num, pairs) + fact + tensors + bytes(64))
    return path


def gguf_name(name: bytes) -> bytes:
    return struct.pack("<Q", len(name)) + name


def gguf_tensor(name: bytes, shape: tuple[int, ...], kind: int = 0) -> bytes:
    sizes = struct.pack(f"<I{len(shape)}Q", len(shape), *shape)
    return gguf_name(name) + sizes + struct.pack("<IQ", kind, 0)


def config(folder: Path, document: dict[str, Any]) -> Path:
    """Make a checkpoint's folder of one table, and a config."""
    entry = {"dtype": "BF16", "shape": [4, 32], "data_offsets": [0, 256]}
    safetensors(folder, json.dumps({"oe_embeddings.0.weight": entry}), 256)
    (folder / "config.json").write_text(json.dumps(document))
    return folder


LONGCAT = {"emb_neighbor_num": 4, "emb_split_num": 4, "vocab_size": 131072, "hidden_size": 3072,
           "eos_token_id": 2, "ngram_vocab_size_ratio": 78}  # fmt: skip
V41 = {"engram_compressed_vocab_size": 99, "engram_layer_ids": [1], "engram_vocab_size": [9],
       "engram_max_ngram_size": 3, "engram_n_heads": 2, "engram_head_dim": 32,
       "engram_pad_token_id": 2}  # fmt: skip
IDENTITY = {"kind": "identity", "num_ids": 1 << 99, "num_canonical": 1 << 99}
BIG_SHAPE = {"dtype": "F32", "shape": [(1 << 62) - 1] * 60_000, "data_offsets": [0, 64]}
FAT = {"dtype": "F32", "shape": [(1 << 62) - 1] * 60, "data_offsets": [0, 64]}


def _set(path: str, value: Any) -> Callable[[Any], None]:
    """Return what sets one place of a document, e.g. `scheme.canonical`."""
    *places, last = path.split(".")

    def change(document: Any) -> None:
        for place in places:
            document = document[int(place) if place.isdigit() else place]
        document[last] = value

    return change


def ngram_log(folder: Path, **changed: Any) -> Path:
    """Make a sparse log whose first segment is in use."""
    facts = {"table_xxh3_128": "0" * 32, "record_bytes": 64, "num_orders": 2, "key_bits": 40,
             "segment_bytes": 12288, "num_segments": 3, **changed}  # fmt: skip
    log = LogFormat(**facts)
    path = folder / "records.log"
    path.write_bytes(log.file_header() + log.segment_header(1) + b"1" * 4096)
    os.truncate(path, 1 << 42)
    return path


BOMBS: dict[str, Callable[[Path], Path]] = {
    "an n-gram log of records of 1 GiB": lambda at: ngram_log(
        at, record_bytes=1 << 30, segment_bytes=(1 << 30) + 12288
    ),
    "an n-gram log of one segment of 2^40 bytes": lambda at: ngram_log(at, segment_bytes=1 << 40),
    "an n-gram log of 2^60 segments": lambda at: ngram_log(at, num_segments=1 << 60),
    "a token map of 2^27 ids": lambda at: edited(
        at, _set("scheme.canonical", token_map(1 << 27, 4 << 27))
    ),
    "a token map that unpacks to more": lambda at: edited(
        at, _set("scheme.canonical", token_map(1 << 10, 1 << 29))
    ),
    "a vocabulary of 2^99 ids": lambda at: edited(at, _set("scheme.canonical", IDENTITY)),
    "n-grams packed to nothing": lambda at: edited(at, _set("scheme", ngrams(8, 1 << 23))),
    "a scheme.json of n-grams packed to nothing": lambda at: scheme_file(at, ngrams(8, 1 << 23)),
    "a seed without end": lambda at: edited(at, _set("scheme.mix.seed", float("1e300"))),
    "stops of a million ids": lambda at: edited(
        at, _set("scheme.boundary.stop", list(range(500_000)))
    ),
    "a manifest of brackets": lambda at: of_text(at, '{"a":[' + "[]," * 1_100_000 + "[]]}"),
    "a manifest of objects": lambda at: of_text(
        at, "[" + ",".join(f'{{"{n}":{{}}}}' for n in range(300_000)) + "]"
    ),
    "a manifest as deep as a well": lambda at: of_text(at, '{"a":' * 500 + "1" + "}" * 500),
    "a manifest with a deep value": lambda at: edited(
        at, _set("tier", json.loads("[" * 200 + "]" * 200))
    ),
    "a number of a million digits": lambda at: of_text(at, '{"schema":' + "9" * 1_000_000 + "}"),
    "a number beyond floats": lambda at: of_text(at, '{"schema":1e999}'),
    "heads_per_order of 10^39": lambda at: edited(
        at, _set("scheme.heads.heads_per_order", 10**39)
    ),
    "layers of 2^48 rows": lambda at: edited(at, _set("layers.0.num_rows", 1 << 48)),
    "pages of 2^30 bytes": lambda at: edited(
        at, lambda m: m["layout"].update(form="paged", page_bytes=1 << 30, rows_per_page=1 << 20)
    ),
    "a safetensors shape of 60,000 sizes": lambda at: safetensors(at, json.dumps({"x": BIG_SHAPE})),
    "a safetensors shape beyond floats": lambda at: safetensors(at, json.dumps({"x": FAT})),
    "a safetensors header of brackets": lambda at: safetensors(
        at, '{"x":[' + "[]," * 1_100_000 + "[]]}"
    ),
    "a safetensors header of 300,000 tensors": lambda at: safetensors(
        at,
        "{" + ",".join(f'"{n}":{{"dtype":"U8","shape":[0],"data_offsets":[0,0]}}'
                       for n in range(300_000)) + "}", 0,
    ),
    "a name that patterns choke on": lambda at: safetensors(
        at, json.dumps({"layers.1." * 200_000: {
            "dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]}}),
    ),
    "a layer's number of 5,000 digits": lambda at: safetensors(
        at, json.dumps({f"layers.{'9' * 5000}.engram.embed.weight": {
            "dtype": "F8_E4M3", "shape": [2, 32], "data_offsets": [0, 64]}}),
    ),
    "a GGUF array of 4 million flags": lambda at: gguf(
        at, gguf_name(b"x") + struct.pack("<IIQ", ARRAY, BOOL, 4 << 20) + bytes(4 << 20)
    ),
    "a GGUF array of 2^40 flags": lambda at: gguf(
        at, gguf_name(b"x") + struct.pack("<IIQ", ARRAY, BOOL, 1 << 40)
    ),
    "a GGUF array of 2^40 strings": lambda at: gguf(
        at, gguf_name(b"x") + struct.pack("<IIQ", ARRAY, STRING, 1 << 40) + bytes(1 << 20)
    ),
    "a GGUF name of 2^62 bytes": lambda at: gguf(at, struct.pack("<Q", 1 << 62)),
    "2^40 GGUF tensors": lambda at: gguf(at, b"", 0, b"", 1 << 40),
    "a GGUF alignment of 0": lambda at: gguf(
        at, gguf_name(b"general.alignment") + struct.pack("<II", NUMBER, 0)
    ),
    "a GGUF table of 2^192 rows": lambda at: gguf(
        at, b"", 0, gguf_tensor(b"per_layer_token_embd.weight", (32, 1 << 63, 1 << 63, 1 << 63)), 1
    ),
    "a config with n-grams of 2^62 tokens": lambda at: config(
        at, {**V41, "engram_max_ngram_size": 1 << 62}
    ),
    "a config with 2^62 heads": lambda at: config(at, {**LONGCAT, "emb_split_num": 1 << 62}),
    "a config with n-grams of 2^61 neighbours": lambda at: config(
        at, {**LONGCAT, "emb_neighbor_num": 1 << 61}
    ),
    "a config of brackets": lambda at: config(at, {"a": [[]] * 1_100_000}),
    "a config with a vocabulary of 2^62": lambda at: config(
        at, {**V41, "engram_compressed_vocab_size": 1 << 62}
    ),
}  # fmt: skip


def readers(path: Path) -> Iterator[Words]:
    """Give the commands that read a file or folder."""
    yield ("inspect", path)
    if path.suffix == ".json":
        yield ("rows", "/dev/null", "--scheme", path)
        yield ("build", "--scheme", path, "-o", path.parent / "out", "-q")
    else:
        yield ("layout", path, "-o", path.parent / "out", "-q")
    if path.suffix == ".log" or (path / "manifest.json").exists():
        yield ("verify", path)


def run(folder: Path) -> dict[str, list[Any]]:
    """Run every reader on every bomb; what came of each: words, exit code, the end of stderr."""
    (folder / "harmless").mkdir()
    for words in readers(table(folder / "harmless")):  # what is loaded and started once
        assert run_in_process(*words).exit_code == 0
    ended: dict[str, list[Any]] = {}
    for number, (name, make) in enumerate(BOMBS.items()):
        at = folder / str(number)
        at.mkdir()
        path = make(at)
        before, limits = _address_space(), resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (before + ROOM_BYTES, limits[1]))
        try:
            for words in readers(path):
                result = run_in_process(*words)
                end = result.stderr.strip()[-300:]
                ended.setdefault(name, []).append([str(words[0]), result.exit_code, end])
        finally:
            resource.setrlimit(resource.RLIMIT_AS, limits)
    return ended


def _address_space() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * resource.getpagesize()


if __name__ == "__main__":
    print(json.dumps(run(Path(sys.argv[1]))))
