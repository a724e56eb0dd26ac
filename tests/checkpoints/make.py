"""Small checkpoints with the real names, dtypes, header forms and shards of each family.

Written with the official libraries; sizes are those of a scheme with few slots.
"""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import gguf
import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file

from engramctl.hashing import scheme_from_config
from tests.hashing.configs import DEEPSEEK, LITE, QWEN

META = {"format": "pt"}


def random_bytes(seed: int, *shape: int, high: int = 256) -> torch.Tensor:
    data = np.random.default_rng(seed).integers(0, high, shape, dtype=np.uint8)
    return torch.from_numpy(data)


def e4m3(seed: int, *shape: int) -> torch.Tensor:
    """Any e4m3 value but NaN."""
    return (random_bytes(seed, *shape) & 0x7E).view(torch.float8_e4m3fn)


def _save(folder: Path, files: dict[str, dict[str, torch.Tensor]]) -> None:
    """Write files as releases are: other tensors between ours, metadata, an index."""
    folder.mkdir(parents=True, exist_ok=True)
    places: dict[str, str] = {}
    for number, (file, tensors) in enumerate(files.items()):
        other = {f"layers.{number}.attn.wo.weight": torch.ones(3, 5, dtype=torch.bfloat16)}
        save_file({**other, **tensors}, folder / file, metadata=META)
        places |= dict.fromkeys({**other, **tensors}, file)
    index = {"metadata": {"total_size": 1}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def deepseek_v41(folder: Path) -> dict[int, NDArray[np.uint8]]:
    """Two layers, each in a file of its own; returns the records by layer."""
    text = {**DEEPSEEK["text_config"], "engram_vocab_size": 60, "engram_head_dim": 64}
    text.pop("engram_num_embeddings", None)
    config = {**DEEPSEEK, "text_config": text}
    scheme = scheme_from_config(config, {})
    text["engram_num_embeddings"] = [scheme.num_rows(layer) for layer in scheme.layers]
    files, records = {}, {}
    for number, layer in enumerate(scheme.layers):
        rows = scheme.num_rows(layer)
        weight = e4m3(layer, rows, 64)
        scale = (random_bytes(layer + 9, rows, 2, high=40) + 100).view(torch.float8_e8m0fnu)
        name = f"layers.{layer}.engram.embed"
        files[f"model-{47 + number:05d}-of-00048.safetensors"] = {
            f"{name}.weight": weight,
            f"{name}.scale": scale,
            f"layers.{layer}.engram.q_weight": torch.ones(4, 8, dtype=torch.bfloat16),
        }
        parts = [weight.view(torch.uint8).numpy(), scale.view(torch.uint8).numpy()]
        records[layer] = np.concatenate(parts, axis=1)
    _save(folder, files)
    (folder / "config.json").write_text(json.dumps(config))
    return records


def qwen(
    folder: Path, dtype: str = "float8_e4m3fn", names: str = "shard_", parts: int = 4
) -> NDArray[np.uint8]:
    """One layer in row shards; returns its records."""
    text = {**QWEN.get("text_config", QWEN)}
    text |= {"ngram_vocab_size_base": 50, "ple_embed_dim": 16 * 32, "ple_embedding_dtype": dtype}
    text |= {"split_ngram_parts": parts, "make_ngram_vocab_size_divisible_by": 4 * parts}
    config = {**QWEN, "text_config": text} if "text_config" in QWEN else text
    scheme = scheme_from_config(config, {})
    rows, layer = scheme.num_rows(1), scheme.layer_hash(1)
    place = "model.language_model.layers.1.ple.ple_embedding"
    stem = f"{place}.ngram_embedding"
    tensors: dict[str, torch.Tensor] = {
        f"{place}.layer_multipliers": torch.tensor(layer.multipliers),
        f"{place}.ngram_heads_vocab_sizes": torch.tensor([head.modulus for head in layer.heads]),
        f"{place}.ngram_heads_offsets": torch.tensor([head.offset for head in layer.heads]),
    }
    records = []
    cuts = np.array_split(np.arange(rows), parts)
    for number, cut in enumerate(cuts):
        place = f"{stem}.{names}{number}" if names else stem
        size = len(cut)
        if dtype == "nvfp4":
            tensors[f"{place}.weight"] = random_bytes(number, size, 16)
            tensors[f"{place}.weight_scale"] = e4m3(number + 50, size, 2)
            tensors[f"{place}.weight_scale_2"] = torch.tensor(0.003)
            both = (tensors[f"{place}.weight"], tensors[f"{place}.weight_scale"])
            records.append(np.concatenate([one.view(torch.uint8).numpy() for one in both], axis=1))
        elif dtype == "bfloat16":
            tensors[f"{place}.weight"] = torch.randn(size, 32).to(torch.bfloat16)
            records.append(tensors[f"{place}.weight"].view(torch.uint8).numpy())
        else:
            tensors[f"{place}.weight"] = e4m3(number, size, 32)
            records.append(tensors[f"{place}.weight"].view(torch.uint8).numpy())
    if dtype == "float8_e4m3fn":
        tensors[f"{stem}.weight_scale"] = torch.tensor(1.99e-4, dtype=torch.bfloat16)
    names_in_order = sorted(tensors)
    half = len(names_in_order) // 2
    _save(
        folder,
        {
            "model-00001-of-00002.safetensors": {n: tensors[n] for n in names_in_order[:half]},
            "model-00002-of-00002.safetensors": {n: tensors[n] for n in names_in_order[half:]},
        },
    )
    (folder / "config.json").write_text(json.dumps(config))
    return np.concatenate(records)


def longcat(folder: Path, template: str = "model.ngram_embeddings.embedders.{}.weight") -> Any:
    """One BF16 tensor a table; returns the records."""
    config = {**LITE, "ngram_vocab_size_ratio": 0.0006, "hidden_size": 12 * 32}
    scheme = scheme_from_config(config, {})
    scheme = replace(scheme)
    tables = {
        template.format(number): torch.randn(head.modulus, scheme.row_dim).to(torch.bfloat16)
        for number, head in enumerate(scheme.layer_hash(0).heads)
    }
    _save(folder, {"model-00001-of-00001.safetensors": tables})
    (folder / "config.json").write_text(json.dumps(config))
    return np.concatenate([one.view(torch.uint8).numpy() for one in tables.values()])


def gguf_file(path: Path, kind: str, rows: int = 300, columns: int = 160) -> NDArray[np.float32]:
    """One table as llama.cpp names it, other tensors around it; returns its values."""
    values = np.random.default_rng(5).normal(size=(rows, columns)).astype(np.float32)
    quantisation = getattr(gguf.GGMLQuantizationType, kind)
    if kind == "IQ4_NL":  # the library has no encoder for it
        raw = np.random.default_rng(6).integers(0, 256, (rows, columns // 32, 18), dtype=np.uint8)
        raw[:, :, :2] = np.array([0.01], np.float16).view(np.uint8)
        raw = raw.reshape(rows, -1)
    else:
        raw = gguf.quants.quantize(values, quantisation)
    writer = gguf.GGUFWriter(str(path), "qwen4exp")
    writer.add_array("qwen4exp.ple.layers", [1])
    writer.add_tensor("blk.0.attn_norm.weight", np.ones(64, np.float32))
    writer.add_tensor("per_layer_token_embd.weight", raw, raw_dtype=quantisation)
    writer.add_tensor("output_norm.weight", np.ones(64, np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    dequantised: NDArray[np.float32] = gguf.quants.dequantize(raw, quantisation)
    return dequantised
