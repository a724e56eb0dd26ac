"""Values and scales that do not go together are refused, with what would."""

import re
from pathlib import Path

import pytest
import torch

from engramctl.checkpoints import open_checkpoint
from engramctl.errors import FormatError
from tests.checkpoints.changed import replace_in, rewrite
from tests.checkpoints.variants import qwen, same, v41

SCALE = "layers.1.engram.embed.scale"


def test_scales_by_two_names_are_refused(tmp_path: Path) -> None:
    v41(tmp_path)

    def twice(tensors: dict[str, torch.Tensor]) -> None:
        if SCALE in tensors:
            tensors[SCALE.replace("scale", "weight_scale_inv")] = tensors[SCALE].clone()

    rewrite(tmp_path, twice)
    with pytest.raises(FormatError, match="has scales twice"):
        open_checkpoint(tmp_path)


def test_a_float_table_with_scales_is_refused(tmp_path: Path) -> None:
    v41(tmp_path)
    rewrite(tmp_path, replace_in("embed.weight", lambda t: t.to(torch.bfloat16)))
    with pytest.raises(FormatError, match="it is BF16 and has scales"):
        open_checkpoint(tmp_path)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (lambda t: t.to(torch.float64), r"F8_E8M0 \[rows, 2\], U8 \[rows, 2\], F32 \[rows, 2\]"),
        (lambda t: torch.ones(len(t), 3), r"F32 \[rows, 1\], BF16 \[rows, 1\]"),
    ],
)
def test_what_scales_could_be_is_said(tmp_path: Path, change: object, expected: str) -> None:
    v41(tmp_path, "f8-f32")
    rewrite(tmp_path, replace_in("embed.scale", change))  # type: ignore[arg-type]
    with pytest.raises(FormatError, match="cannot be scales of F8_E4M3 rows of 64") as caught:
        open_checkpoint(tmp_path)
    assert re.search(expected, str(caught.value.facts["expected"]))


def test_scales_of_one_shard_that_are_missing_are_named(tmp_path: Path) -> None:
    qwen(tmp_path, "int4")
    rewrite(tmp_path, replace_in("shard_5.weight_scale", lambda t: None))
    with pytest.raises(FormatError, match=r"shard_5\.weight_scale' is missing"):
        open_checkpoint(tmp_path)


def test_scales_of_a_whole_table_of_row_shards_are_read(tmp_path: Path) -> None:
    """One tensor beside the shards, a scale a row."""
    wanted = qwen(tmp_path, "int8")
    stem = "model.language_model.layers.1.ple.ple_embedding.ngram_embedding"
    found: dict[int, torch.Tensor] = {}

    def taken(tensors: dict[str, torch.Tensor]) -> None:
        for name in [one for one in tensors if one.endswith("weight_scale")]:
            found[int(name.split("shard_")[1].split(".")[0])] = tensors.pop(name)
        if "head" in tensors:
            tensors[f"{stem}.weight_scale"] = torch.cat([found[n] for n in sorted(found)])

    rewrite(tmp_path, taken)
    assert same(tmp_path, wanted)
