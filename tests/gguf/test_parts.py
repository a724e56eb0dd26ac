"""A split GGUF opens from any part or its folder; what is missing or mixed up is named."""

from pathlib import Path

import numpy as np
import pytest

from engramctl.checkpoints.opening import is_checkpoint, open_checkpoint
from engramctl.errors import FormatError
from engramctl.storage.reading.source import read_values
from tests.checkpoints.make_gguf import TABLE, split, write


def tables() -> dict[int, np.ndarray]:
    random = np.random.default_rng(3)
    return {layer: random.normal(size=(9 + layer, 32)).astype(np.float32) for layer in (1, 14)}


def three_parts(folder: Path) -> list[Path]:
    first = {"token_embd.weight": np.ones((2, 4), np.float32)}
    return split(folder, [first, *({TABLE.format(n): one} for n, one in tables().items())])


@pytest.mark.parametrize("named", [0, 1, 2, None])
def test_any_part_or_the_folder_opens_all(tmp_path: Path, named: int | None) -> None:
    parts = three_parts(tmp_path / "model")
    write(tmp_path / "model" / "mmproj.gguf", {"v.blk.0.attn.weight": np.ones((2, 2), np.float32)})
    path = tmp_path / "model" if named is None else parts[named]
    assert is_checkpoint(path)
    rows = open_checkpoint(path).rows
    assert rows.layers == (1, 14)
    for layer, wanted in tables().items():
        assert np.array_equal(read_values(rows, layer, range(len(wanted))), wanted)


@pytest.mark.parametrize("gone", [0, 1, 2])
def test_a_missing_part_is_named(tmp_path: Path, gone: int) -> None:
    parts = three_parts(tmp_path)
    parts[gone].unlink()
    for path in (tmp_path, *(one for one in parts if one.exists())):
        with pytest.raises(FormatError, match=f"{parts[gone].name} is missing"):
            open_checkpoint(path)


def test_parts_that_changed_places_are_refused(tmp_path: Path) -> None:
    parts = three_parts(tmp_path)
    data = parts[1].read_bytes()
    parts[1].write_bytes(parts[2].read_bytes())
    parts[2].write_bytes(data)
    with pytest.raises(FormatError, match="says that it is part 3 of 3"):
        open_checkpoint(tmp_path)


def test_a_part_by_another_name_is_refused(tmp_path: Path) -> None:
    parts = three_parts(tmp_path)
    parts[1].rename(tmp_path / "mine.gguf")
    with pytest.raises(FormatError, match="says that it is part 2 of 3"):
        open_checkpoint(tmp_path / "mine.gguf")


def test_a_tensor_in_two_parts_is_refused(tmp_path: Path) -> None:
    table = {TABLE.format(1): tables()[1]}
    split(tmp_path, [table, table])
    with pytest.raises(FormatError, match="is in two parts"):
        open_checkpoint(tmp_path)


def test_a_folder_of_two_models_asks_for_one(tmp_path: Path) -> None:
    for name in ("a.gguf", "b.gguf"):
        write(tmp_path / name, {TABLE.format(1): tables()[1]})
    with pytest.raises(FormatError, match="holds 2 GGUF models"):
        open_checkpoint(tmp_path)
    assert open_checkpoint(tmp_path / "a.gguf").rows.layers == (1,)


def test_a_cut_part_says_that_it_was_cut(tmp_path: Path) -> None:
    parts = three_parts(tmp_path)
    for path in parts:
        data = path.read_bytes()
        for length in (len(data) - 8, 40):
            path.write_bytes(data[:length])
            with pytest.raises(FormatError, match="was cut"):
                open_checkpoint(tmp_path)
        path.write_bytes(data)
