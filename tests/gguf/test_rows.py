"""Rows of GGUF files have the library's values in every type, or are refused by name."""

from pathlib import Path

import gguf
import numpy as np
import pytest

from engramctl.checkpoints import open_store
from engramctl.checkpoints.opening import open_checkpoint
from engramctl.errors import FormatError
from engramctl.schemes.options import read_scheme
from engramctl.storage.reading.source import RecordReader, read_values
from engramctl.storage.reading.table import open_table
from engramctl.storage.record.codecs import decode
from engramctl.storage.record.codecs_k import READ_ONLY
from engramctl.storage.record.record import RecordSpec
from tests.checkpoints.make_gguf import TABLE, packed_rows, write
from tests.conftest import RunCli

ROWS = 40
NAME = TABLE.format(3)


def values_of(path: Path) -> np.ndarray:
    rows = open_checkpoint(path).rows
    return read_values(rows, rows.layers[0], range(rows.num_rows(rows.layers[0])))


@pytest.mark.parametrize("kind", READ_ONLY)
def test_rows_that_are_widened_have_the_librarys_values(tmp_path: Path, kind: str) -> None:
    raw, wanted = packed_rows(kind, ROWS, 512)
    write(tmp_path / "t.gguf", {NAME: raw}, kind)
    assert np.array_equal(values_of(tmp_path / "t.gguf"), wanted)
    with pytest.raises(FormatError, match=f"are {kind}, which no tier looks up") as caught:
        open_store(tmp_path / "t.gguf", "host")
    assert caught.value.hint is not None
    assert "engramctl layout" in caught.value.hint


def test_many_rows_are_widened_in_one_read(tmp_path: Path) -> None:
    raw, wanted = packed_rows("Q4_K", 9000, 256)
    write(tmp_path / "t.gguf", {NAME: raw}, "Q4_K")
    rows = open_checkpoint(tmp_path / "t.gguf").rows
    out = np.full((9000, rows.record.record_bytes), 0xA5, np.uint8)
    with RecordReader(rows) as reader:
        reader.read(3, 0, out)
    assert np.array_equal(decode(rows.record, out), wanted)


def test_a_scale_that_cannot_be_is_named_where_rows_are_widened(tmp_path: Path) -> None:
    raw, _ = packed_rows("Q4_K", 9000, 256)
    raw[8192 + 5, :2] = np.array([np.nan], np.float16).view(np.uint8)
    write(tmp_path / "t.gguf", {NAME: raw}, "Q4_K")
    with pytest.raises(FormatError, match="is NaN or infinite") as caught:
        open_checkpoint(tmp_path / "t.gguf")
    assert caught.value.facts["row"] == "8,197"


def test_an_infinite_scale_beside_bytes_is_named(tmp_path: Path) -> None:
    scales = np.ones((ROWS, 2), np.float16)
    scales[7, 1] = np.inf
    tensors = {NAME: np.zeros((ROWS, 64), np.int8), "blk.3.engram_embd.scale": scales}
    write(tmp_path / "t.gguf", tensors)
    with pytest.raises(FormatError, match="is NaN or infinite") as caught:
        open_checkpoint(tmp_path / "t.gguf")
    assert caught.value.facts["row"] == "7"


def fp8_rows() -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(4)
    values = random.integers(0, 256, (ROWS, 256), dtype=np.uint8) & 0x7E
    scales = random.integers(110, 130, (ROWS, 8), dtype=np.uint8)
    return np.concatenate([values, scales], axis=1), decode(
        RecordSpec("f8_e4m3", 256), np.concatenate([values, scales], axis=1)
    )


def test_rows_of_264_bytes_are_fp8_values_and_their_scales(tmp_path: Path) -> None:
    records, wanted = fp8_rows()
    write(tmp_path / "t.gguf", {NAME: records.view(np.int8)})
    record = open_checkpoint(tmp_path / "t.gguf").rows.record
    assert (record.dtype, record.row_dim) == ("f8_e4m3", 256)
    assert np.array_equal(values_of(tmp_path / "t.gguf"), wanted)


SCALE_NAMES = ("embd.scale", "embd.scales", "embd_scale.weight", "embd.weight_scale")


@pytest.mark.parametrize("name", SCALE_NAMES)
def test_bytes_with_a_tensor_of_bytes_beside_them_are_fp8(tmp_path: Path, name: str) -> None:
    records, wanted = fp8_rows()
    tensors = {NAME: records[:, :256].view(np.int8)}
    tensors[f"blk.3.engram_{name}"] = records[:, 256:].view(np.int8)
    write(tmp_path / "t.gguf", tensors)
    assert open_checkpoint(tmp_path / "t.gguf").rows.record.dtype == "f8_e4m3"
    assert np.array_equal(values_of(tmp_path / "t.gguf"), wanted)


@pytest.mark.parametrize("dtype", [np.float32, np.float16])
@pytest.mark.parametrize("shape", [(ROWS,), (ROWS, 1), (ROWS, 4)])
def test_bytes_with_floats_beside_them_are_int8(
    tmp_path: Path, shape: tuple[int, ...], dtype: type
) -> None:
    random = np.random.default_rng(4)
    codes = random.integers(-128, 128, (ROWS, 64)).astype(np.int8)
    scales: np.ndarray = random.random(shape).astype(dtype)
    write(tmp_path / "t.gguf", {NAME: codes, "blk.3.engram_embd.scale": scales})
    groups = scales.astype(np.float32).reshape(ROWS, -1, 1)
    wanted = codes.astype(np.float32).reshape(ROWS, groups.shape[1], -1) * groups
    found = open_checkpoint(tmp_path / "t.gguf").rows
    assert found.record.dtype == ("int8" if dtype == np.float32 and groups.size == ROWS else "f32")
    assert np.array_equal(values_of(tmp_path / "t.gguf"), wanted.reshape(ROWS, 64))


@pytest.mark.parametrize(
    ("tensors", "said"),
    [
        ({NAME: np.ones((4, 64), np.int8)}, "scales beside it, or rows of 33 bytes"),
        (
            {NAME: np.ones((4, 64), np.int8), "blk.3.engram_embd.scale": np.ones(3, np.float32)},
            "cannot be the scales",
        ),
        (
            {NAME: np.ones((4, 64), np.int8), "blk.3.engram_embd.scale": np.ones((4, 4), np.int8)},
            "cannot be the scales",
        ),
        ({NAME: np.ones((4, 64), np.int16)}, "type that cannot be read"),
    ],
)
def test_bytes_that_say_no_values_are_refused(
    tmp_path: Path, tensors: dict[str, np.ndarray], said: str
) -> None:
    write(tmp_path / "t.gguf", tensors)
    with pytest.raises(FormatError) as caught:
        open_checkpoint(tmp_path / "t.gguf")
    assert said in f"{caught.value.message} {caught.value.facts}"


@pytest.mark.parametrize("kind", ["uint8", "int16", "uint64", "int64"])
@pytest.mark.parametrize("alignment", [8, 64])
def test_data_is_aligned_to_an_integer_of_any_type(
    tmp_path: Path, kind: str, alignment: int
) -> None:
    values = np.random.default_rng(1).normal(size=(ROWS, 64)).astype(np.float32)

    def facts(writer: gguf.GGUFWriter) -> None:
        getattr(writer, f"add_{kind}")("general.alignment", alignment)
        writer.data_alignment = alignment

    tensors = {"other": np.ones(3, np.float32), NAME: values}
    write(tmp_path / "t.gguf", tensors, facts=facts)
    assert np.array_equal(values_of(tmp_path / "t.gguf"), values)


def test_layout_widens_rows_and_verify_compares_them(run_cli: RunCli, tmp_path: Path) -> None:
    scheme = tmp_path / "scheme.json"
    words = ("--scheme", "deepseek-v41", "--slots", 20, "--layers", 3, "--save-scheme", scheme)
    (tmp_path / "ids.jsonl").write_text("[1, 2]\n")
    assert run_cli("rows", tmp_path / "ids.jsonl", *words).exit_code == 0
    total = read_scheme(scheme).num_rows(3)
    raw, _ = packed_rows("Q5_K", total, 256)
    path, out = tmp_path / "t.gguf", tmp_path / "out"
    write(path, {NAME: raw}, "Q5_K")
    made = run_cli("layout", path, "--scheme", scheme, "-t", "host", "-o", out)
    assert made.exit_code == 0, made.stderr
    assert "rows of Q5_K are widened to f32: 1,024 bytes a row for 176" in made.stderr
    described = run_cli("inspect", path).stdout
    assert "Q5_K" in described
    assert "in place  " not in described  # no tier looks such rows up where they lie
    assert open_table(out).record.dtype == "f32"
    same = run_cli("verify", out, "--against", path, "--scheme", scheme)
    assert same.exit_code == 0, same.stderr
    assert run_cli("verify", out, "--scheme", scheme).exit_code == 2
    raw[7, 20] ^= 1
    write(path, {NAME: raw}, "Q5_K")
    assert run_cli("verify", out, "--against", path, "--scheme", scheme).exit_code == 3
