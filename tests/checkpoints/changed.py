"""Checkpoints with one thing changed."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file

from tests.checkpoints import make


def rewrite(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the tensors of every file; the index follows."""
    places: dict[str, str] = {}
    for path in sorted(folder.glob("*.safetensors")):
        tensors = load_file(path)
        change(tensors)
        save_file(tensors, path, metadata=make.META)
        places |= dict.fromkeys(tensors, path.name)
    index = {"metadata": {}, "weight_map": places}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))


def replace_in(name: str, value: Callable[[torch.Tensor], torch.Tensor | None]) -> Any:
    def change(tensors: dict[str, Any]) -> None:
        for found in [one for one in tensors if one.endswith(name)]:
            new = value(tensors.pop(found))
            if new is not None:
                tensors[found] = new.contiguous()

    return change


def bits(tensor: torch.Tensor, row: int, byte: int) -> torch.Tensor:
    changed = tensor.view(torch.uint8).clone()
    changed[row, 0] = byte
    return changed.view(tensor.dtype)
