"""Checkpoints are read where they lie, bit for bit, and what is wrong with them is named."""

import json
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from engramctl.checkpoints.opening import is_checkpoint, open_checkpoint
from engramctl.errors import EngramError, FormatError
from engramctl.storage.files.safetensors_header import read_header
from engramctl.storage.reading.source import RecordReader
from engramctl.storage.record.codecs import decode
from tests.checkpoints import make
from tests.checkpoints.changed import bits, replace_in, rewrite

POISON = 0xA5


def records_of(path: Path, layer: int) -> np.ndarray:
    checkpoint = open_checkpoint(path)
    out = np.full((checkpoint.rows.num_rows(layer), checkpoint.rows.record.record_bytes), POISON)
    out = out.astype(np.uint8)
    with RecordReader(checkpoint.rows) as reader:
        for start in range(0, len(out), 101):
            reader.read(layer, start, out[start : start + 101])
    return out


def test_deepseek_v41_is_read_from_two_files(tmp_path: Path) -> None:
    records = make.deepseek_v41(tmp_path)
    checkpoint = open_checkpoint(tmp_path)
    assert (checkpoint.family, checkpoint.rows.layers) == ("deepseek-v41", (1, 14))
    assert checkpoint.scheme is not None
    assert checkpoint.rows.record.dtype == checkpoint.scheme.dtype == "f8_e4m3"
    for layer, wanted in records.items():
        assert np.array_equal(records_of(tmp_path, layer), wanted)


@pytest.mark.parametrize("dtype", ["float8_e4m3fn", "nvfp4", "bfloat16"])
@pytest.mark.parametrize(("names", "parts"), [("shard_", 4), ("shards.", 12), ("", 1)])
def test_qwen_is_read_from_its_shards(tmp_path: Path, dtype: str, names: str, parts: int) -> None:
    wanted = make.qwen(tmp_path, dtype, names, parts)
    checkpoint = open_checkpoint(tmp_path)
    assert checkpoint.family == "qwen-ple"
    assert np.array_equal(records_of(tmp_path, 1), wanted)
    scale = checkpoint.rows.table_scale(1)
    rounded = float(torch.tensor(1.99e-4, dtype=torch.bfloat16))
    expected = {"nvfp4": float(np.float32(0.003)), "float8_e4m3fn": rounded}
    assert scale == expected.get(dtype)


@pytest.mark.parametrize(
    "template", ["model.ngram_embeddings.embedders.{}.weight", "model.oe_embed_tokens{}.weight"]
)
def test_longcat_has_one_tensor_a_table(tmp_path: Path, template: str) -> None:
    wanted = make.longcat(tmp_path, template)
    assert np.array_equal(records_of(tmp_path, 0), wanted)
    assert open_checkpoint(tmp_path).family == "longcat"


def test_over_encodings_tables_need_no_config(tmp_path: Path) -> None:
    wanted = make.longcat(tmp_path, "model.oe_embeddings.{}.weight")
    (tmp_path / "config.json").unlink()
    checkpoint = open_checkpoint(tmp_path)
    assert (checkpoint.family, checkpoint.scheme) == ("over-encoding", None)
    assert np.array_equal(records_of(tmp_path, 0), wanted)


@pytest.mark.parametrize("kind", ["Q8_0", "Q4_0", "IQ4_NL", "F16", "F32", "BF16"])
def test_gguf_rows_are_its_librarys(tmp_path: Path, kind: str) -> None:
    wanted = make.gguf_file(tmp_path / "model.gguf", kind)
    checkpoint = open_checkpoint(tmp_path / "model.gguf")
    assert checkpoint.rows.layers == (1,)
    values = decode(checkpoint.rows.record, records_of(tmp_path / "model.gguf", 1))
    assert np.array_equal(values, wanted)


def test_places_are_those_of_the_official_library(tmp_path: Path) -> None:
    make.deepseek_v41(tmp_path)
    for path in tmp_path.glob("*.safetensors"):
        found = read_header(path)
        with safe_open(path, framework="pt") as official:
            assert set(found) == set(official.keys())
            for name, tensor in found.items():
                data = path.read_bytes()[tensor.offset : tensor.offset + tensor.num_bytes]
                wanted = official.get_tensor(name).reshape(-1).view(torch.uint8)
                assert data == wanted.numpy().tobytes()
                assert tensor.shape == tuple(official.get_slice(name).get_shape())


V41_ERRORS = {
    "scale is missing": ("layers.1.engram.embed.scale", lambda t: None),
    "never set": ("layers.1.engram.embed.scale", lambda t: torch.zeros_like(t.view(torch.uint8))
                  .view(t.dtype)),
    "is NaN": ("layers.14.engram.embed.scale", lambda t: bits(t, 77, 255)),
    "cannot be scales": ("layers.1.engram.embed.scale", lambda t: t[:, :1]),
    "are of other rows": ("layers.1.engram.embed.scale", lambda t: t[:-1]),
    "cannot be a table": ("layers.1.engram.embed.weight", lambda t: t.to(torch.float32)),
    "not those of the scheme": ("layers.1.engram.embed.weight", lambda t: t),
}  # fmt: skip


@pytest.mark.parametrize("message", V41_ERRORS)
def test_what_is_wrong_with_deepseek_v41_is_named(tmp_path: Path, message: str) -> None:
    make.deepseek_v41(tmp_path)
    if message == "not those of the scheme":
        rewrite(tmp_path, replace_in("layers.1.engram.embed.weight", lambda t: t[:-3]))
        rewrite(tmp_path, replace_in("layers.1.engram.embed.scale", lambda t: t[:-3]))
    else:
        rewrite(tmp_path, replace_in(*V41_ERRORS[message]))
    pattern = "is missing" if message == "scale is missing" else message
    with pytest.raises(FormatError, match=pattern) as caught:
        open_checkpoint(tmp_path)
    assert "expected" in caught.value.facts or "offset" in caught.value.facts


QWEN_ERRORS = {
    "'.*weight_scale' is missing": ("ngram_embedding.weight_scale", lambda t: None),
    "not a finite number": ("ngram_embedding.weight_scale", lambda t: t * float("nan")),
    "not a finite number above": ("ngram_embedding.weight_scale", lambda t: t * 0),
    "they are of other rows": ("ngram_embedding.weight_scale", lambda t: t.repeat(2)),
    "shard .* 2 is missing": ("shard_2.weight", lambda t: None),
}


@pytest.mark.parametrize("message", QWEN_ERRORS)
def test_what_is_wrong_with_qwen_is_named(tmp_path: Path, message: str) -> None:
    make.qwen(tmp_path)
    rewrite(tmp_path, replace_in(*QWEN_ERRORS[message]))
    pattern = "is missing" if "shard" in message else message
    with pytest.raises(FormatError, match=pattern):
        open_checkpoint(tmp_path)


def test_shards_with_scales_that_differ_are_refused(tmp_path: Path) -> None:
    make.qwen(tmp_path, "nvfp4")
    rewrite(tmp_path, replace_in("shard_2.weight_scale_2", lambda t: t * 2))
    with pytest.raises(FormatError, match="scales that differ"):
        open_checkpoint(tmp_path)


def test_tables_that_changed_places_are_refused(tmp_path: Path) -> None:
    make.longcat(tmp_path)
    names = [f"model.ngram_embeddings.embedders.{number}.weight" for number in (0, 1)]

    def swap(tensors: dict[str, Any]) -> None:
        tensors[names[0]], tensors[names[1]] = tensors[names[1]], tensors[names[0]]

    rewrite(tmp_path, swap)
    with pytest.raises(FormatError, match="cut elsewhere"):
        open_checkpoint(tmp_path)


def test_a_tensor_in_two_files_and_a_missing_file_are_named(tmp_path: Path) -> None:
    make.deepseek_v41(tmp_path)
    first, second = sorted(tmp_path.glob("*.safetensors"))
    index = tmp_path / "model.safetensors.index.json"
    text = index.read_text()
    index.unlink()
    copy = tmp_path / "model-00099-of-00048.safetensors"
    copy.write_bytes(first.read_bytes())
    with pytest.raises(FormatError, match="in two files"):
        open_checkpoint(tmp_path)
    copy.unlink()
    index.write_text(text)
    second.unlink()
    with pytest.raises(FormatError, match="in a file that is absent: model-00048-of-00048"):
        open_checkpoint(tmp_path)


HEADERS: dict[str, Callable[[bytes], bytes]] = {
    "absurd length": lambda data: struct.pack("<Q", 1 << 60) + data[8:],
    "cut": lambda data: data[:-7],
    "longer": lambda data: data + b"\0",
    "no JSON": lambda data: data[:8] + b"[" * (len(data) - 8),
    "empty": lambda data: b"",
    "deep": lambda data: struct.pack("<Q", 60_000) + b'{"a":' * 12_000,
}


@pytest.mark.parametrize("kind", HEADERS)
def test_a_broken_header_names_its_file(tmp_path: Path, kind: str) -> None:
    make.deepseek_v41(tmp_path)
    path = sorted(tmp_path.glob("*.safetensors"))[0]
    path.write_bytes(HEADERS[kind](path.read_bytes()))
    with pytest.raises(FormatError, match=path.name):
        open_checkpoint(tmp_path)


def test_no_mutation_of_a_header_escapes_the_errors(tmp_path: Path) -> None:
    make.qwen(tmp_path)
    path = sorted(tmp_path.glob("*.safetensors"))[0]
    whole = path.read_bytes()
    header = 8 + int.from_bytes(whole[:8], "little")
    random = np.random.default_rng(0)
    refused = 0
    for _ in range(300):
        data = bytearray(whole)
        for at in random.integers(0, header, random.integers(1, 4)):
            data[at] = random.choice(list(b'0123456789{}[]":,eE-.\x00\xffN'))
        path.write_bytes(bytes(data))
        try:
            read_header(path)
        except EngramError:
            refused += 1
    assert refused > 200


@pytest.mark.parametrize("dtype", [[], {}, ["F32"], None, 7])
def test_a_dtype_that_is_no_word_is_refused(tmp_path: Path, dtype: object) -> None:
    entry = {"dtype": dtype, "shape": [2, 8], "data_offsets": [0, 64]}
    text = json.dumps({"x": entry}).encode()
    file = tmp_path / "m.safetensors"
    file.write_bytes(len(text).to_bytes(8, "little") + text + bytes(64))
    with pytest.raises(FormatError, match="the dtype of 'x'"):
        read_header(file)


def test_other_folders_are_no_checkpoints(tmp_path: Path) -> None:
    assert not is_checkpoint(tmp_path)
    save_file({"a": torch.zeros(2)}, tmp_path / "model.safetensors")
    with pytest.raises(FormatError, match="no n-gram tables"):
        open_checkpoint(tmp_path)
