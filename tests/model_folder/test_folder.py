"""Which files of a folder count: the index says, or there is one of each; and what is absent."""

import json
import os
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from engramctl.checkpoints import is_checkpoint, open_checkpoint, open_store
from engramctl.errors import FormatError
from tests.checkpoints.variants import INDEX, Values, ranks, same, tensors_of, v41, write
from tests.conftest import RunCli

FIRST, SECOND, THIRD = (f"model-{number:05d}-of-00003.safetensors" for number in (1, 2, 3))
WEIGHT = "layers.1.engram.embed.weight"


@pytest.fixture
def values(tmp_path: Path) -> Values:
    return v41(tmp_path)


def add(path: Path, name: str, tensor: torch.Tensor) -> None:
    tensors = load_file(path) if path.exists() else {}
    save_file({**tensors, name: tensor}, path)


def test_files_without_tables_may_be_absent_and_are_named(
    run_cli: RunCli, tmp_path: Path, values: Values
) -> None:
    (tmp_path / FIRST).unlink()
    assert same(tmp_path, values)
    told = f"1 of 3 files are absent, which hold no table: {FIRST}"
    assert open_checkpoint(tmp_path).notes == (told,)
    for words in (("inspect", tmp_path), ("layout", tmp_path, "-o", tmp_path / "out")):
        answer = run_cli(*words)
        assert answer.exit_code == 0
        assert told in answer.stderr.replace("\n", " ")
    assert run_cli("inspect", tmp_path, "--json").json["notes"] == [told]
    checked = run_cli("verify", tmp_path / "out", "--against", tmp_path)
    assert checked.exit_code == 0
    assert told in checked.stderr.replace("\n", " ")


def test_a_missing_file_of_a_table_is_named_before_any_other(
    tmp_path: Path, values: Values
) -> None:
    for name in (FIRST, THIRD):
        (tmp_path / name).unlink()
    with pytest.raises(FormatError, match=rf"layers\.14\.engram.*absent: {THIRD}") as caught:
        open_checkpoint(tmp_path)
    assert FIRST not in str(caught.value.facts)


def test_numbers_that_are_absent_are_told_without_an_index(tmp_path: Path, values: Values) -> None:
    (tmp_path / INDEX).unlink()
    (tmp_path / FIRST).unlink()
    assert open_checkpoint(tmp_path).notes == ("1 of 3 files model-*-of-00003 are absent",)
    assert same(tmp_path, values)


@pytest.mark.parametrize("name", [WEIGHT, "head"])
def test_the_index_decides_between_two_files(tmp_path: Path, values: Values, name: str) -> None:
    other = load_file(tmp_path / (SECOND if name == WEIGHT else FIRST))[name]
    add(tmp_path / THIRD, name, torch.zeros(other.shape).to(other.dtype))
    assert same(tmp_path, values)
    (tmp_path / INDEX).unlink()
    with pytest.raises(FormatError, match="is in two files") as caught:
        open_checkpoint(tmp_path)
    assert caught.value.facts["file"] == tmp_path / THIRD


def test_files_that_the_index_does_not_name_are_not_opened(tmp_path: Path, values: Values) -> None:
    (tmp_path / "adapter_model.safetensors").write_bytes(bytes(40))
    (tmp_path / "consolidated.safetensors").write_bytes((tmp_path / SECOND).read_bytes())
    os.mkfifo(tmp_path / "pipe.safetensors")
    assert same(tmp_path, values)


def test_a_tensor_that_is_not_in_its_file_is_named(tmp_path: Path, values: Values) -> None:
    places = json.loads((tmp_path / INDEX).read_text())["weight_map"]
    places |= {"another": FIRST, WEIGHT: THIRD}
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": places}))
    with pytest.raises(FormatError, match=f"'{WEIGHT}' is not where the index says"):
        open_checkpoint(tmp_path)


def test_tables_beside_an_index_of_the_rest_are_found(tmp_path: Path, values: Values) -> None:
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {"head": FIRST}}))
    assert same(tmp_path, values)
    assert "names none of the files with tables" in open_checkpoint(tmp_path).notes[0]


def test_rank_files_beside_the_index_of_files_that_are_gone_are_read(tmp_path: Path) -> None:
    wanted = v41(tmp_path)
    index = (tmp_path / INDEX).read_text()
    wanted = ranks(tmp_path, "rows")
    (tmp_path / INDEX).write_text(index)
    assert same(tmp_path, wanted)


@pytest.mark.parametrize("file", ["../model.safetensors", "/etc/passwd", "a\0b", "", "a" * 256])
def test_an_index_names_files_of_its_folder_alone(
    tmp_path: Path, values: Values, file: str
) -> None:
    (tmp_path / INDEX).write_text(json.dumps({"weight_map": {WEIGHT: file}}))
    with pytest.raises(FormatError, match="names a file that cannot be in its folder"):
        open_checkpoint(tmp_path)


def test_one_of_several_indexes_is_named(tmp_path: Path, values: Values) -> None:
    text = (tmp_path / INDEX).read_text()
    (tmp_path / INDEX).unlink()
    for name in ("a", "b"):
        (tmp_path / f"{name}.safetensors.index.json").write_text(text)
    with pytest.raises(FormatError, match="several indexes"):
        open_checkpoint(tmp_path)
    assert same(tmp_path / "b.safetensors.index.json", values)
    (tmp_path / "a.safetensors.index.json").unlink()
    assert same(tmp_path, values)


def test_a_file_stands_for_its_checkpoint(tmp_path: Path, values: Values) -> None:
    for name in (SECOND, INDEX):
        assert is_checkpoint(tmp_path / name)
        assert same(tmp_path / name, values)
        assert name in open_checkpoint(tmp_path / name).notes[0]
    with open_store(tmp_path / SECOND) as store:
        assert store.layers == (1, 14)


def test_a_file_of_its_own_is_read_alone(tmp_path: Path, values: Values) -> None:
    files = {"tables.safetensors": tensors_of(tmp_path), SECOND: {"a": torch.ones(2)}}
    write(tmp_path, files, index=False)
    assert same(tmp_path / "tables.safetensors", values)


@pytest.mark.parametrize("is_below", [True, False])
def test_files_in_a_sub_folder_are_read(tmp_path: Path, values: Values, is_below: bool) -> None:
    below = tmp_path / "original"
    below.mkdir()
    for path in sorted(tmp_path.glob("*.safetensors")):
        path.rename(below / path.name)
    if is_below:  # the index says where they are
        places = json.loads((tmp_path / INDEX).read_text())["weight_map"]
        named = {name: f"original/{file}" for name, file in places.items()}
        (tmp_path / INDEX).write_text(json.dumps({"weight_map": named}))
    assert same(tmp_path, values)
    assert open_checkpoint(tmp_path).scheme is not None


def test_a_folder_of_ours_is_no_checkpoint(run_cli: RunCli, tmp_path: Path, values: Values) -> None:
    assert run_cli("layout", tmp_path, "-o", tmp_path / "out", "-q").exit_code == 0
    assert not is_checkpoint(tmp_path / "out")
    assert not is_checkpoint(next((tmp_path / "out").glob("*.safetensors")))
