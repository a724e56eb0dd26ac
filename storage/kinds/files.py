"""What a single file is, by its type, its name and its first bytes; it is never waited for."""

import os
import re
import shlex
import stat
from collections.abc import Callable
from pathlib import Path

from engramctl.storage.kinds.kind import PathKind

BEGINNING_BYTES = 1 << 16
NGRAM_LOG = b"EGRAMLOG"  # begins a file that `engramctl.storage.record_log` writes
MAX_HEADER_BYTES = 100_000_000  # of safetensors, the format's own limit
_IRREGULAR: tuple[tuple[Callable[[int], bool], str], ...] = (
    (stat.S_ISFIFO, "a pipe (FIFO)"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)
_OURS = re.compile(rb'"schema"\s*:\s*"engramctl\.([a-z-]{1,40})/')
_HTML = re.compile(rb"\s*(<!--.*?-->\s*)*<(!doctype\s+html|html|head)\b", re.IGNORECASE | re.DOTALL)
_ARCHIVES = {b"PK\x03\x04": "zip", b"\x1f\x8b": "gzip", b"\x28\xb5\x2f\xfd": "zstd"}
_TORCH = (".bin", ".pt", ".pth", ".ckpt")
_FETCH = "fetch the file itself"


def beginning(path: Path) -> bytes:
    """Return a regular file's first bytes; nothing where it is another or cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        if stat.S_ISREG(os.fstat(descriptor).st_mode):
            return os.read(descriptor, BEGINNING_BYTES)
        return b""
    except OSError:
        return b""
    finally:
        os.close(descriptor)


def is_log(path: Path) -> bool:
    """Tell whether a file begins as a log of n-gram records does."""
    return beginning(path).startswith(NGRAM_LOG)


def file_kind(path: Path) -> PathKind | None:
    """Return what a file is; None: it is not there, may not be read, or is of no known kind."""
    try:
        status = path.stat()
    except OSError:
        return None
    for is_one, what in _IRREGULAR:
        if is_one(status.st_mode):
            hint = "name a regular file; what comes through a pipe goes into one first"
            return PathKind(what, f"is {what}, not a file", hint, stands_in=True)
    if not status.st_size:
        hint = f"{_FETCH} again: the copy is empty"
        return PathKind("empty file", "is an empty file", hint, stands_in=True)
    data = beginning(path)
    return _stand_in(data) or _binary(path, data, status.st_size) or _text(path, data)


def _stand_in(data: bytes) -> PathKind | None:
    if data.startswith(b"version https://git-lfs"):
        return PathKind(
            "Git LFS pointer",
            "is a Git LFS pointer: the file itself was not fetched",
            f"{_FETCH}: git lfs pull, in the repository it is from",
            stands_in=True,
        )
    if _HTML.match(data[:4096]):
        return PathKind(
            "HTML page",
            "is an HTML page saved under the name of a file",
            f"{_FETCH}: the address was that of a web page, or of a log-in",
            stands_in=True,
        )
    return None


def _binary(path: Path, data: bytes, size: int) -> PathKind | None:
    folder, file = shlex.quote(str(path.parent)), shlex.quote(str(path))
    if data.startswith(b"GGUF"):
        hint = f"run: engramctl inspect {file}, or engramctl layout {file} -o shards"
        return PathKind("GGUF file", "is a GGUF file, a model's checkpoint", hint)
    if data.startswith(NGRAM_LOG):
        return PathKind(
            "n-gram log",
            "is a dictionary that a store fills with n-gram records",
            f"run: engramctl inspect {file}, or engramctl verify {file}; with the table it is of: "
            "engramctl bench --fill; it may be deleted",
        )
    if data.startswith((b"PAR1", b"PARE")):
        return PathKind(
            "Parquet file",
            "is a Parquet file: a corpus, or one order of mined counts",
            f"of a corpus run: engramctl mine {file} -o counts; of counts name the folder",
        )
    length = int.from_bytes(data[:8], "little")
    if data[8:9] == b"{" and 2 <= length <= min(MAX_HEADER_BYTES, size - 8):
        return PathKind(
            "safetensors file",
            "is one safetensors file of a checkpoint or of tables",
            f"name the folder it is in: engramctl inspect {folder}",
        )
    if path.suffix in _TORCH and data.startswith((b"PK\x03\x04", b"\x80")):
        return PathKind(
            "PyTorch file",
            "is a file of torch.save, which may run code when it is read",
            "fetch or write the model as safetensors",
        )
    for magic, name in _ARCHIVES.items():
        if data.startswith(magic):
            hint = "unpack it first, and name what comes out"
            return PathKind(f"{name} archive", f"is packed with {name}", hint)
    return None


def _text(path: Path, data: bytes) -> PathKind | None:
    folder, file = shlex.quote(str(path.parent)), shlex.quote(str(path))
    text = data.lstrip()
    if text.startswith(b"["):
        hint = f"run: engramctl rows {file}"
        return PathKind("JSON list", "is JSON that begins with a list, as token ids do", hint)
    if not text.startswith(b"{"):
        return None
    ours = _OURS.search(data)
    if ours is not None:
        return _ours(ours[1].decode(), folder, file)
    if b'"weight_map"' in data:
        return PathKind(
            "index of a checkpoint",
            "is the index of a checkpoint, which says where its tensors are",
            f"name its folder: engramctl inspect {folder}",
        )
    if path.name == "tokenizer.json" or b'"added_tokens"' in data:
        return PathKind(
            "tokenizer", "is a tokenizer", f"name it with --tokenizer: --tokenizer {file}"
        )
    if b'"model_type"' in data or b'"architectures"' in data:
        return PathKind(
            "config of a model",
            "is the config of a model",
            f"name its folder: engramctl inspect {folder}",
        )
    if b'"token_ids"' in data[:4096]:
        return PathKind("token ids", "holds token ids", f"run: engramctl rows {file}")
    return None


def _ours(schema: str, folder: str, file: str) -> PathKind | None:
    """Return what a document of ours is, by the middle of its schema."""
    if schema == "scheme":
        hint = f"name it with --scheme: engramctl build --scheme {file} -o tables"
        return PathKind("scheme", "is a scheme.json", hint)
    if schema == "bench":
        hint = f"run: engramctl inspect {file}"
        return PathKind("result of bench", "is a result of engramctl bench", hint)
    if schema in ("table", "counts", "counts-summary", "state"):
        hint = f"name its folder: engramctl inspect {folder}"
        return PathKind("file of ours", "is one file of a folder that engramctl made", hint)
    return PathKind(
        f"engramctl.{schema} document",
        f"is a document of engramctl.{schema}",
        f"run: engramctl inspect {folder}",
    )
