"""Checkpoints as people have them: other names, scales, dtypes and files, and what they hold.

Each maker writes one with the official library and returns its values by layer, computed here with
torch from the tensors alone.
"""

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file

from engramctl.checkpoints import open_checkpoint
from engramctl.hashing import scheme_from_config
from engramctl.storage.reading.source import read_values
from tests.checkpoints import make

INDEX = "model.safetensors.index.json"
Tensors = dict[str, torch.Tensor]
Values = dict[int, torch.Tensor]
Make = Callable[[Path], Values]
Rows = tuple[Tensors, torch.Tensor]
"""Tensors by the last part of their name, and the values that they say."""


def same(path: Path, wanted: Values) -> bool:
    """Compare all rows of a checkpoint with values."""
    checkpoint = open_checkpoint(path)
    assert checkpoint.rows.layers == tuple(sorted(wanted))
    return all(
        np.array_equal(read_values(checkpoint.rows, layer, range(len(rows))), rows.numpy())
        for layer, rows in wanted.items()
    )


def tensors_of(folder: Path) -> Tensors:
    found: Tensors = {}
    for path in sorted(folder.glob("*.safetensors")):
        found |= load_file(path)
        path.unlink()
    return found


def write(folder: Path, files: dict[str, Tensors], index: bool = True) -> None:
    for name, tensors in files.items():
        save_file({n: one.contiguous().clone() for n, one in tensors.items()}, folder / name)
    (folder / INDEX).unlink(missing_ok=True)
    if index:
        places = {name: file for file, tensors in files.items() for name in tensors}
        (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": places}))


def blocks(scale: torch.Tensor) -> torch.Tensor:
    return scale.float().repeat_interleave(32, dim=1)


def normal(rows: int, dim: int) -> torch.Tensor:
    return torch.from_numpy(np.random.default_rng(rows).normal(size=(rows, dim))).float()


def f8(rows: int, dim: int, scale: str = "F32", two: bool = True) -> Rows:
    """E4M3 with a scale a row."""
    codes = make.e4m3(rows, rows, dim)
    factors = normal(rows, 1).abs().to(_FLOATS[scale])
    stored = factors if two else factors[:, 0]
    return {"weight": codes, "scale": stored}, codes.float() * factors.float()


def f8_blocks(rows: int, dim: int, scale: str) -> Rows:
    """E4M3 with a scale for 32 values: a power of two in a byte, or any float."""
    codes, bits = make.e4m3(rows, rows, dim), make.random_bytes(rows, rows, dim // 32, high=9) + 120
    if scale == "F32":
        factors = normal(rows, dim // 32).abs()
        return {"weight": codes, "scale": factors}, codes.float() * blocks(factors)
    stored = bits if scale == "U8" else bits.view(torch.float8_e8m0fnu)
    return {"weight": codes, "scale": stored}, codes.float() * blocks(2.0 ** (bits.float() - 127))


def f8_scalar(rows: int, dim: int) -> Rows:
    codes, scale = make.e4m3(rows, rows, dim), torch.tensor(0.0123)
    return {"weight": codes, "scale": scale}, codes.float() * scale


def int8(rows: int, dim: int, scale: str = "F32") -> Rows:
    codes = make.random_bytes(rows, rows, dim).view(torch.int8)
    factors = normal(rows, 1).abs().to(_FLOATS[scale])
    return {"weight": codes, "scale": factors}, codes.float() * factors.float()


def int4(rows: int, dim: int, scale: str = "F16", words: bool = False) -> Rows:
    """Two values a byte, the low one first, less 8; or eight a word, as packers write it."""
    codes = make.random_bytes(rows, rows, dim, high=16)
    packed = codes[:, ::2] | (codes[:, 1::2] << 4)
    factors = normal(rows, 1).abs().to(_FLOATS[scale])
    stored = {"weight_packed": packed.view(torch.int32)} if words else {"weight": packed}
    return {**stored, "scale": factors}, (codes.float() - 8) * factors.float()


def plain(rows: int, dim: int, dtype: str = "BF16") -> Rows:
    values = normal(rows, dim).to(_FLOATS[dtype])
    return {"weight": values}, values.float()


_FLOATS = {"F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16}
KINDS: dict[str, Callable[[int, int], Rows]] = {
    "bf16": plain,
    "f16": partial(plain, dtype="F16"),
    "f8-e8m0": partial(f8_blocks, scale="E8M0"),
    "f8-u8": partial(f8_blocks, scale="U8"),
    "f8-f32": partial(f8_blocks, scale="F32"),
    "f8-row": f8,
    "f8-row-flat": partial(f8, two=False),
    "f8-row-bf16": partial(f8, scale="BF16"),
    "int8": int8,
    "int8-f16": partial(int8, scale="F16"),
    "int8-bf16": partial(int8, scale="BF16"),
    "int4": int4,
    "int4-f32": partial(int4, scale="F32"),
    "int4-bf16": partial(int4, scale="BF16"),
    "int4-words": partial(int4, words=True),
}
WHOLE = {**KINDS, "f8-scalar": f8_scalar}


def v41(folder: Path, kind: str = "f8-e8m0", prefix: str = "", scale: str = "scale") -> Values:
    """DeepSeek-V4.1 with rows of any kind."""
    make.deepseek_v41(folder)
    config = json.loads((folder / "config.json").read_text())
    scheme = scheme_from_config(config, {})
    tensors_of(folder)
    files: dict[str, Tensors] = {"model-00001-of-00003.safetensors": {"head": torch.ones(3)}}
    values: Values = {}
    for number, layer in enumerate(scheme.layers):
        parts, values[layer] = WHOLE[kind](scheme.num_rows(layer), 64)
        stem = f"{prefix}layers.{layer}.engram.embed"
        files[f"model-{number + 2:05d}-of-00003.safetensors"] = {
            f"{stem}.{name.replace('scale', scale)}": one for name, one in parts.items()
        }
    write(folder, files)
    return values


def qwen(folder: Path, kind: str, parts: int = 16, scale: str = "weight_scale") -> Values:
    """Qwen's row shards with rows of any kind; as many shards as heads."""
    make.qwen(folder, parts=parts)
    before = tensors_of(folder)
    rows = [len(before[name]) for name in sorted(before) if "ngram_embedding.shard" in name]
    stem = "model.language_model.layers.1.ple.ple_embedding.ngram_embedding"
    tensors: Tensors = {}
    values = []
    for number, count in enumerate(rows):
        found, some = WHOLE[kind](count, 32)
        values.append(some)
        for name, one in found.items():
            place = stem if one.ndim == 0 else f"{stem}.shard_{number}"
            tensors[f"{place}.{name.replace('scale', scale)}"] = one
    half = sorted(tensors)[: len(tensors) // 2]
    write(folder, {
        "model-00001-of-00003.safetensors": {name: tensors[name] for name in half},
        "model-00002-of-00003.safetensors": {n: t for n, t in tensors.items() if n not in half},
        "model-00003-of-00003.safetensors": {"head": torch.ones(3)},
    })  # fmt: skip
    return {1: torch.cat(values)}


def longcat(folder: Path, kind: str, prefix: str = "model.") -> Values:
    """One tensor a table with rows of any kind."""
    make.longcat(folder)
    config = json.loads((folder / "config.json").read_text())
    heads = scheme_from_config(config, {}).layer_hash(0).heads
    tensors_of(folder)
    tensors: Tensors = {}
    values = []
    for number, head in enumerate(heads):
        found, some = WHOLE[kind](head.modulus, 32)
        values.append(some)
        stem = f"{prefix}ngram_embeddings.embedders.{number}"
        tensors |= {f"{stem}.{n.replace('scale', 'weight_scale')}": t for n, t in found.items()}
    write(folder, {"model-00001-of-00002.safetensors": tensors,
                   "model-00002-of-00002.safetensors": {"head": torch.ones(3)}})  # fmt: skip
    return {0: torch.cat(values)}


Cut = Callable[[torch.Tensor, list[int]], list[torch.Tensor]]
"""One table, and the rows of its heads -> one tensor a rank."""


def _padded(parts: list[torch.Tensor], rows: int) -> list[torch.Tensor]:
    raw = [one.view(torch.uint8) for one in parts]
    ends = [torch.full((rows - len(one), one.shape[1]), 7, dtype=torch.uint8) for one in raw]
    dtype = parts[0].dtype
    return [torch.cat(both).view(dtype) for both in zip(raw, ends, strict=True)]


def _heads(table: torch.Tensor, heads: list[int], dealt: list[list[int]]) -> list[torch.Tensor]:
    pieces = torch.split(table.view(torch.uint8), heads)
    return [torch.cat([pieces[n] for n in one]).view(table.dtype) for one in dealt]


def by_rows(table: torch.Tensor, heads: list[int], ranks: int = 2) -> list[torch.Tensor]:
    raw = table.view(torch.uint8)
    step = -(-len(raw) // ranks)
    return [raw[step * n : step * (n + 1)].view(table.dtype) for n in range(ranks)]


def by_padded_rows(table: torch.Tensor, heads: list[int]) -> list[torch.Tensor]:
    rows = -(-len(table) // (3 * 64)) * 64  # 3 ranks, each a multiple of 64
    raw = table.view(torch.uint8)
    cut = [raw[rows * n : rows * (n + 1)].view(table.dtype) for n in range(3)]
    return _padded(cut, rows)


def near_heads(table: torch.Tensor, heads: list[int]) -> list[torch.Tensor]:
    numbers = list(range(len(heads)))
    return _heads(table, heads, [numbers[start : start + 5] for start in range(0, len(heads), 5)])


def near_heads_padded(table: torch.Tensor, heads: list[int]) -> list[torch.Tensor]:
    cut = near_heads(table, heads)
    return _padded(cut, max(len(one) for one in cut))


def heads_in_turn(table: torch.Tensor, heads: list[int]) -> list[torch.Tensor]:
    return _heads(table, heads, [list(range(rank, len(heads), 3)) for rank in range(3)])


def copies(table: torch.Tensor, heads: list[int]) -> list[torch.Tensor]:
    return [table, table]


CUTS: dict[str, Cut] = {
    "rows": by_rows,
    "three-by-rows": partial(by_rows, ranks=3),
    "padded-rows": by_padded_rows,
    "heads": near_heads,
    "padded-heads": near_heads_padded,
    "heads-in-turn": heads_in_turn,
    "copies": copies,
}


def ranks(
    folder: Path, cut: str, name: str = "model{}-mp{}.safetensors", kind: str = "f8-e8m0"
) -> Values:
    """DeepSeek-V4.1 with one file a rank, each with a copy of another tensor."""
    values = v41(folder, kind)
    scheme = scheme_from_config(json.loads((folder / "config.json").read_text()), {})
    dealt: list[Tensors] = []
    for tensor, one in tensors_of(folder).items():
        if ".embed." not in tensor:
            continue
        layer = int(tensor.split(".")[1])
        heads = [head.modulus for head in scheme.layer_hash(layer).heads]
        for rank, part in enumerate(CUTS[cut](one.reshape(len(one), -1), heads)):
            if rank == len(dealt):
                dealt.append({"norm": torch.ones(4)})
            dealt[rank][tensor] = part.reshape(-1, *one.shape[1:])
    write(folder, {name.format(n, len(dealt)): one for n, one in enumerate(dealt)}, index=False)
    return values


VARIANTS: dict[str, Make] = {
    **{f"v41-{kind}": partial(v41, kind=kind) for kind in WHOLE},
    **{f"qwen-{kind}": partial(qwen, kind=kind) for kind in (*KINDS, "f8-scalar")},
    **{f"longcat-{kind}": partial(longcat, kind=kind) for kind in ("f16", "int8", "int4-words")},
    **{
        f"prefix-{prefix}": partial(v41, prefix=f"{prefix}.")
        for prefix in ("model", "model.language_model", "language_model.model")
    },
    "prefix-longcat": partial(longcat, kind="bf16", prefix="language_model.model."),
    "weight_scale": partial(v41, scale="weight_scale"),
    "weight_scale_inv": partial(v41, scale="weight_scale_inv"),
    "qwen-weight_scale_inv": partial(qwen, kind="f8-scalar", scale="weight_scale_inv"),
    **{f"ranks-{cut}": partial(ranks, cut=cut) for cut in CUTS},
    "ranks-bf16": partial(ranks, cut="heads-in-turn", kind="bf16"),
    "ranks-f8-row": partial(ranks, cut="padded-heads", kind="f8-row-flat"),
    "ranks-of-an-engine": partial(ranks, cut="rows", name="model-rank-{0}-part-0.safetensors"),
    "ranks-of-tables": partial(ranks, cut="rows", name="engram{}-mp{}.safetensors"),
}
