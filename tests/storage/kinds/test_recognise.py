"""Whatever a path is, it is called by its name, with the command that is meant; nothing waits."""

import os
import struct
from pathlib import Path

import pytest

from engramctl.errors import FormatError
from engramctl.storage import open_store
from engramctl.storage.kinds.recognise import recognise, refused, stand_in

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:" + b"4d" * 32 + b"\nsize 7\n"
HEADER = b'{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}'
FILES = {
    "a.gguf": (b"GGUF\x03\0\0\0" + bytes(16), "GGUF file", "engramctl layout"),
    "b.parquet": (b"PAR1" + bytes(20), "Parquet file", "engramctl mine"),
    "records.log": (b"EGRAMLOG" + bytes(20), "n-gram log", "bench --fill"),
    "c.safetensors": (
        struct.pack("<Q", len(HEADER)) + HEADER + b"\1",
        "safetensors file",
        "name the folder",
    ),
    "d.safetensors": (LFS, "Git LFS pointer", "git lfs pull"),
    "e.json": (b"\n<!-- x --><!DOCTYPE html><html>", "HTML page", "fetch the file itself"),
    "f.json": (b"<HTML lang='en'>", "HTML page", "fetch the file itself"),
    "g.json": (b"", "empty file", "fetch the file itself again"),
    "h.bin": (b"PK\x03\x04....", "PyTorch file", "safetensors"),
    "i.tar.gz": (b"\x1f\x8b\x08\0", "gzip archive", "unpack"),
    "j.json": (b'{"schema": "engramctl.scheme/1"}', "scheme", "--scheme"),
    "k.json": (b'{\n "schema": "engramctl.bench/2"}', "result of bench", "engramctl inspect"),
    "manifest.json": (b'{"schema":"engramctl.table/1"}', "file of ours", "name its folder"),
    "model.safetensors.index.json": (
        b'{"metadata": {}, "weight_map": {}}', "index of a checkpoint", "name its folder",
    ),
    "config.json": (b'{"model_type": "deepseek_v41"}', "config of a model", "name its folder"),
    "tokenizer.json": (b'{"version": "1.0"}', "tokenizer", "--tokenizer"),
    "l.jsonl": (b"[1, 2]\n[3]\n", "JSON list", "engramctl rows"),
    "m.jsonl": (b'{"token_ids": [1]}\n', "token ids", "engramctl rows"),
}  # fmt: skip
STAND_INS = {"Git LFS pointer", "HTML page", "empty file"}


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_told_by_its_first_bytes(tmp_path: Path, name: str) -> None:
    data, wanted, hint = FILES[name]
    path = tmp_path / name
    path.write_bytes(data)
    found = recognise(path)
    assert found is not None
    assert (found.name, found.stands_in) == (wanted, wanted in STAND_INS)
    assert hint in found.hint
    assert isinstance(refused(path, "x"), FormatError)
    assert (stand_in(path, "x") is not None) == (wanted in STAND_INS)


@pytest.mark.parametrize("data", [b"hello", b"\x00" * 64, b'{"a": 1}', b"<xml/>", b"\xff\xfe"])
def test_what_is_not_known_is_not_guessed(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "x").write_bytes(data)
    assert recognise(tmp_path / "x") is None
    assert recognise(tmp_path / "not-there") is None


def test_a_pipe_is_named_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "model.gguf")
    found = recognise(tmp_path / "model.gguf")
    assert found is not None
    assert (found.name, found.stands_in) == ("a pipe (FIFO)", True)
    os.mkfifo(tmp_path / "manifest.json")
    assert recognise(tmp_path) is None


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(b"x")
    return folder


FOLDERS: dict[str, tuple[tuple[str, ...], str, str]] = {
    "checkpoint": (("model.safetensors", "config.json"), "is a checkpoint", "engramctl layout"),
    "gguf": (("t-00001-of-00002.gguf",), "is a checkpoint", "engramctl inspect"),
    "cache": (("snapshots/abc/model.safetensors", "refs/main"), "snapshots", "snapshots/abc"),
    "hub": (("models--a--b/refs/main",), "cache of 1 models", "models--a--b/snapshots"),
    "above": (("original/model.safetensors", "config.json"), "look in original", "original"),
    "corpus": (("a.parquet",), "a corpus", "engramctl mine"),
    "index": (("model.safetensors.index.json", "config.json"), "none of its shards", "fetch"),
    "config": (("config.json",), "none of its weights", "fetch"),
}


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_is_told_by_the_names_in_it(tmp_path: Path, name: str) -> None:
    names, says, hint = FOLDERS[name]
    found = recognise(touch(tmp_path / name, *names))
    assert found is not None
    assert says in found.says
    assert hint in found.hint
    assert "--resume" not in found.hint


def test_the_snapshot_that_main_names_is_offered(tmp_path: Path) -> None:
    touch(tmp_path, "snapshots/aaa/x", "snapshots/bbb/x", "refs/main")
    (tmp_path / "refs/main").write_text("bbb\n")
    found = recognise(tmp_path)
    assert found is not None
    assert found.hint.endswith("snapshots/bbb")


def test_an_empty_folder_is_called_empty(tmp_path: Path) -> None:
    with pytest.raises(FormatError, match="is an empty folder"):
        open_store(tmp_path)


def test_counts_are_no_tables(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text('{"schema": "engramctl.counts/1"}')
    with pytest.raises(FormatError, match="holds mined counts of n-grams, not tables") as caught:
        open_store(tmp_path)
    assert "--dictionary" in (caught.value.hint or "")
