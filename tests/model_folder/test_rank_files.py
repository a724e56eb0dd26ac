"""Rank files are joined by their shapes and the scheme, or refused with the reason."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file, save_file

from engramctl.checkpoints import open_checkpoint, open_store
from engramctl.errors import FormatError
from engramctl.hashing import scheme_from_config
from engramctl.model_folder.joined import TableRows, joined
from engramctl.storage.files.safetensors_header import Tensor
from tests.checkpoints.variants import ranks

WEIGHT = "layers.1.engram.embed.weight"


def parts(*rows: int) -> list[Tensor]:
    return [
        Tensor(Path(f"{rank}"), "t", "U8", (count, 4), 100, 4 * count)
        for rank, count in enumerate(rows)
    ]


def places(found: tuple[Tensor, ...]) -> list[tuple[str, int, int]]:
    return [(str(one.path), (one.offset - 100) // 4, one.shape[0]) for one in found]


@pytest.mark.parametrize(
    ("rows", "wanted"),
    [
        ((9, 8), [("0", 0, 9), ("1", 0, 8)]),
        ((12, 12), [("0", 0, 12), ("1", 0, 5)]),  # the longest two neighbours: 5 + 7
        ((16, 16), [("0", 0, 16), ("1", 0, 1)]),  # to a multiple of 16
        ((17, 17), [("0", 0, 17)]),
        ((8, 9), [("0", 0, 3), ("1", 0, 7), ("0", 3, 5), ("1", 7, 2)]),  # heads 0, 2 and 1, 3
        ((11, 6), [("0", 0, 11), ("1", 0, 6)]),
        ((6, 5, 3, 3), [("0", 0, 6), ("1", 0, 5), ("2", 0, 3), ("3", 0, 3)]),
    ],
)
def test_parts_are_put_where_the_scheme_has_them(
    rows: tuple[int, ...], wanted: list[tuple[str, int, int]]
) -> None:
    heads = (5, 7, 3, 2) if rows[0] == 12 else (3, 7, 5, 2)
    assert places(joined(parts(*rows), TableRows(17, heads))) == wanted


@pytest.mark.parametrize("rows", [(3, 3), (40, 40), (8, 8), (17, 16)])
def test_parts_that_fit_in_no_way_are_refused(rows: tuple[int, ...]) -> None:
    with pytest.raises(FormatError, match="how they are joined is not known"):
        joined(parts(*rows), TableRows(17, (3, 7, 5, 2)))


def test_parts_that_fit_in_two_ways_are_refused() -> None:
    with pytest.raises(FormatError, match="how they are joined") as caught:
        joined(parts(16, 16), TableRows(30, (8, 8, 8, 6)))
    assert "two places" in str(caught.value.hint)


def test_a_missing_rank_is_named(tmp_path: Path) -> None:
    ranks(tmp_path, "three-by-rows")
    (tmp_path / "model1-mp3.safetensors").unlink()
    with pytest.raises(FormatError, match=r"rank 1 is missing: model1-mp3\.safetensors"):
        open_checkpoint(tmp_path)


def test_rank_files_of_two_conversions_are_refused(tmp_path: Path) -> None:
    ranks(tmp_path, "rows")
    save_file({"a": torch.ones(1)}, tmp_path / "model2-mp4.safetensors")
    with pytest.raises(FormatError, match="different numbers of ranks"):
        open_checkpoint(tmp_path)


def test_a_table_in_a_rank_file_and_in_another_is_there_twice(tmp_path: Path) -> None:
    ranks(tmp_path, "rows")
    save_file({WEIGHT: torch.ones(3)}, tmp_path / "model.safetensors")
    with pytest.raises(FormatError, match="is in two files"):
        open_checkpoint(tmp_path)


def test_a_scheme_that_is_given_joins_files_without_config(tmp_path: Path) -> None:
    wanted = ranks(tmp_path, "heads-in-turn")
    config = json.loads((tmp_path / "config.json").read_text())
    (tmp_path / "config.json").unlink()
    with pytest.raises(FormatError) as caught:
        open_checkpoint(tmp_path)
    assert "config.json tells" in str(caught.value.hint)
    with open_store(tmp_path, dtype=torch.float32, scheme=scheme_from_config(config)) as store:
        assert torch.equal(store.gather(1, np.arange(50)), wanted[1][:50])


def test_constants_of_ranks_that_differ_are_refused(tmp_path: Path) -> None:
    ranks(tmp_path, "rows")
    for rank, path in enumerate(sorted(tmp_path.glob("*.safetensors"))):
        tensors = load_file(path)
        save_file({**tensors, "layers.1.x.layer_multipliers": torch.tensor([rank])}, path)
    with pytest.raises(FormatError, match=r"copies of 'layers\.1\.x\.layer_multipliers' differ"):
        open_checkpoint(tmp_path)
