"""Weights that the golden files of the schemes describe by a formula."""

import re
from typing import Any

import torch
from torch import Tensor

_WEIGHT = re.compile(r"(\w+)=W\((\d+)(\+i)?,(?:\[[^=;]*\],([\d.]+)|\.\.)\)")


class Weights:
    """The weights that a `weights` text of a golden file names, made on demand."""

    def __init__(self, text: str) -> None:
        self._made: dict[str, tuple[int, float]] = {}
        scale = ""
        for name, tag, _, given in _WEIGHT.findall(text):
            scale = given or scale  # `..` stands for what the weight before has
            self._made[name] = int(tag), float(scale)

    def __call__(self, name: str, *shape: int, number: int = 0) -> Tensor:
        """Return W(tag + number, shape, scale) in float64."""
        tag, scale = self._made[name]
        index = torch.arange(torch.Size(shape).numel())
        value = (index * 2654435761 + (tag + number) * 40503 + 12345) % 2**32
        return (((value >> 8) % 2001 - 1000).double() / 1000 * scale).view(shape)


def taken(tables: list[Tensor], local_ids: Any) -> Tensor:
    """Return rows (1, T, H, E): of head h the rows of table h."""
    ids_TH = torch.tensor(local_ids)
    return torch.stack([table[ids_TH[:, h]] for h, table in enumerate(tables)], 1)[None]
