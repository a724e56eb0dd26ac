"""Headers of no rows, of tables by two names, of places that cannot be: an error with a name."""

import json
import struct
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import pytest

from engramctl.checkpoints.opening import open_checkpoint
from engramctl.errors import FormatError
from engramctl.gguf.constants import read_integers
from engramctl.gguf.header import read_gguf
from engramctl.storage.files.safetensors_header import read_header
from tests.bombs import gguf as gguf_bytes
from tests.bombs import gguf_tensor, safetensors
from tests.conftest import RunCli

TABLES = {
    "longcat": "model.ngram_embeddings.embedders.0.weight",
    "over-encoding": "oe_embeddings.0.weight",
    "qwen-ple": "model.layers.1.ple.ngram_embedding.weight",
    "deepseek-v41": "layers.1.engram.embed.weight",
}
EMPTY = [[0, 32], [32, 0], [0, 0], [0], []]


@pytest.mark.parametrize("shape", [(32, 0), (0, 4), (32, 4, 0), (0,), (32, 0, 4)])
@pytest.mark.parametrize(
    "name", ["per_layer_token_embd.weight", "ngram_embd.0.weight", "blk.3.engram_embd.weight"]
)
def test_a_gguf_table_without_rows_is_refused(
    run_cli: RunCli, tmp_path: Path, shape: tuple[int, ...], name: str
) -> None:
    path = gguf_bytes(tmp_path, b"", 0, gguf_tensor(name.encode(), shape), 1)
    with pytest.raises(FormatError, match=name):
        open_checkpoint(path)
    assert run_cli("inspect", path).exit_code == 1


@pytest.mark.parametrize("kind", [0, 1, 2, 8, 20, 30])
@pytest.mark.parametrize("columns", [0, 1 << 40])
def test_a_gguf_table_of_a_width_no_row_has_is_refused(
    tmp_path: Path, kind: int, columns: int
) -> None:
    tensor = gguf_tensor(b"per_layer_token_embd.weight", (columns, 2), kind)
    with pytest.raises(FormatError, match="cannot be a table"):
        open_checkpoint(gguf_bytes(tmp_path, b"", 0, tensor, 1))


def test_other_gguf_tensors_may_be_empty(tmp_path: Path) -> None:
    tensors = gguf_tensor(b"other", (0,)) + gguf_tensor(b"per_layer_token_embd.weight", (4, 4))
    path = gguf_bytes(tmp_path, b"", 0, tensors, 2)
    assert open_checkpoint(path).rows.num_rows(0) == 4


@pytest.mark.parametrize("shape", EMPTY)
@pytest.mark.parametrize("family", TABLES)
def test_a_safetensors_table_without_values_is_refused(
    tmp_path: Path, family: str, shape: list[int]
) -> None:
    dtype = "F8_E4M3" if family == "deepseek-v41" else "F32"
    size = 4 if not shape else 0
    size //= 4 if dtype == "F8_E4M3" else 1
    header: dict[str, Any] = {
        TABLES[family]: {"dtype": dtype, "shape": shape, "data_offsets": [0, size]}
    }
    if family == "deepseek-v41":
        place = {"dtype": "F8_E8M0", "shape": [0, 1], "data_offsets": [size, size]}
        header["layers.1.engram.embed.scale"] = place
    safetensors(tmp_path, json.dumps(header), size)
    with pytest.raises(FormatError, match="weight"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize("shape", [[0, 7], [7, 0], [0]])
def test_empty_tensors_beside_a_table_are_read_over(tmp_path: Path, shape: list[int]) -> None:
    header = {
        "a": {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]},
        "oe_embeddings.0.weight": {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]},
        "z": {"dtype": "F32", "shape": shape, "data_offsets": [64, 64]},
    }
    safetensors(tmp_path, json.dumps(header))
    assert open_checkpoint(tmp_path).rows.num_rows(0) == 4


def test_a_second_shard_without_rows_is_refused(tmp_path: Path) -> None:
    stem = "model.layers.1.ple.ngram_embedding.shard_"
    header = {
        f"{stem}0.weight": {"dtype": "F32", "shape": [4, 4], "data_offsets": [0, 64]},
        f"{stem}1.weight": {"dtype": "F32", "shape": [0, 4], "data_offsets": [64, 64]},
    }
    safetensors(tmp_path, json.dumps(header))
    with pytest.raises(FormatError, match="shard_1"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize(
    "names",
    [
        ("oe_embeddings.1.weight", "oe_embeddings.01.weight"),
        ("oe_embeddings.0.weight", "model.oe_embeddings.0.weight"),
        ("a.layers.1.ple.ngram_embedding.weight", "b.layers.1.ple.ngram_embedding.weight"),
        ("a.layers.1.ngram_embedding.shard_0.weight", "a.layers.1.ngram_embedding.shards.0.weight"),
    ],
)
def test_a_table_that_is_there_by_two_names_is_refused(
    tmp_path: Path, names: tuple[str, str]
) -> None:
    header = {
        name: {"dtype": "F32", "shape": [2, 4], "data_offsets": [32 * n, 32 * n + 32]}
        for n, name in enumerate(names)
    }
    safetensors(tmp_path, json.dumps(header))
    with pytest.raises(FormatError, match="is there twice"):
        open_checkpoint(tmp_path)


def test_v41_layers_by_two_names_are_refused(tmp_path: Path) -> None:
    header: dict[str, Any] = {}
    for n, stem in enumerate(("layers.1.engram.embed", "model.layers.1.engram.embed")):
        at = 66 * n
        header[f"{stem}.weight"] = {
            "dtype": "F8_E4M3", "shape": [2, 32], "data_offsets": [at, at + 64]
        }  # fmt: skip
        header[f"{stem}.scale"] = {
            "dtype": "F8_E8M0", "shape": [2, 1], "data_offsets": [at + 64, at + 66]
        }  # fmt: skip
    safetensors(tmp_path, json.dumps(header), 132)
    with pytest.raises(FormatError, match="layer 1 is there twice"):
        open_checkpoint(tmp_path)


def test_gguf_tables_by_two_names_are_refused(tmp_path: Path) -> None:
    tensors = b"".join(
        gguf_tensor(name, (4, 2))
        for name in (b"per_layer_token_embd.weight", b"blk.0.engram_embd.weight")
    )
    with pytest.raises(FormatError, match="layer 0 is there twice"):
        open_checkpoint(gguf_bytes(tmp_path, b"", 0, tensors, 2))


def test_a_layer_that_no_model_has_is_refused(tmp_path: Path) -> None:
    fact = struct.pack("<Q", 12) + b"q.ple.layers" + struct.pack("<Ii", 5, -1)
    path = gguf_bytes(tmp_path, fact, 1, gguf_tensor(b"per_layer_token_embd.weight", (4, 2)), 1)
    with pytest.raises(FormatError, match="a layer that no model has"):
        open_checkpoint(path)


@pytest.mark.parametrize("alignment", [None, 8, 256])
def test_gguf_places_are_those_of_its_library(tmp_path: Path, alignment: int | None) -> None:
    path = tmp_path / "model.gguf"
    writer = gguf.GGUFWriter(str(path), "test")
    if alignment is not None:
        writer.add_custom_alignment(alignment)
    writer.add_array("test.ple.layers", [7, 9])
    writer.add_array("tokenizer.ggml.tokens", ["a", "bcd", ""])
    writer.add_array("nested", [[1, 2], [3]])
    writer.add_bool("flag", True)
    random = np.random.default_rng(0)
    for n, shape in enumerate([(3,), (5, 32), (2, 3, 32), (1, 1)]):
        writer.add_tensor(f"t{n}", random.normal(size=shape).astype(np.float32))
    for write in (
        writer.write_header_to_file, writer.write_kv_data_to_file, writer.write_tensors_to_file
    ):  # fmt: skip
        write()
    writer.close()
    header = read_gguf(path)
    assert read_integers(header.lists["test.ple.layers"]).tolist() == [7, 9]
    assert header.lengths["tokenizer.ggml.tokens"] == 3
    for ours, theirs in zip(header.tensors, gguf.GGUFReader(str(path)).tensors, strict=True):
        assert ours.name == theirs.name
        assert ours.shape == tuple(theirs.shape.tolist())
        assert ours.offset == theirs.data_offset


def test_a_safetensors_shape_stops_at_the_first_absurd_product(tmp_path: Path) -> None:
    for shape in ([2**61] * 60, [2**61, 2**61, 0], [3, 2**61]):
        entry = {"dtype": "F32", "shape": shape, "data_offsets": [0, 0]}
        safetensors(tmp_path, json.dumps({"x": entry}), 0)
        if 0 in shape:
            assert read_header(tmp_path / "m.safetensors")["x"].num_bytes == 0
        else:
            with pytest.raises(FormatError, match="the span of 'x' is wrong") as caught:
                read_header(tmp_path / "m.safetensors")
            assert len(str(caught.value.facts["expected"])) < 80


@pytest.mark.parametrize(("version", "said"), [(3, "is big-endian"), (9, "has version 9")])
def test_a_gguf_of_another_order_or_version_is_named(
    tmp_path: Path, version: int, said: str
) -> None:
    order = ">" if "endian" in said else "<"
    (tmp_path / "model.gguf").write_bytes(b"GGUF" + struct.pack(f"{order}IQQ", version, 1, 0))
    with pytest.raises(FormatError, match=said):
        open_checkpoint(tmp_path / "model.gguf")


@pytest.mark.parametrize("length", [512, 513, 100_000])
def test_a_name_is_as_long_as_patterns_can_take(tmp_path: Path, length: int) -> None:
    name = ("layers.1." * length)[:length]
    safetensors(
        tmp_path, json.dumps({name: {"dtype": "F32", "shape": [16], "data_offsets": [0, 64]}})
    )
    if length == 512:
        assert list(read_header(tmp_path / "m.safetensors")) == [name]
    else:
        with pytest.raises(FormatError, match=r"the name .* is wrong"):
            read_header(tmp_path / "m.safetensors")
