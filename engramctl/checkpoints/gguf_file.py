"""Tables in GGUF files, in place: of one file, of the parts of a split one, or of a folder."""

import re
from dataclasses import replace
from pathlib import Path

from engramctl.checkpoints.stacked_tensors import numbered, put_once, stacked
from engramctl.errors import FormatError
from engramctl.gguf.constants import read_integers
from engramctl.gguf.header import GgufTensor
from engramctl.gguf.parts import GgufModel, read_model
from engramctl.gguf.rows import RowForm, row_form
from engramctl.gguf.types import row_bytes, rows_of
from engramctl.storage.files.safetensors_header import Tensor
from engramctl.storage.reading.region import Region
from engramctl.storage.reading.source import CheckpointTables

# llama.cpp's names: one table of Qwen3.8; LongCat's tables; DeepSeek-V4.1's, a layer each
_STEM = r"per_layer_token_embd|ngram_embd\.(\d{1,5})|blk\.(\d{1,5})\.engram_embd"
_TABLE = re.compile(rf"({_STEM})\.weight", re.ASCII)
_SCALE = re.compile(rf"({_STEM})[._](?:weight_)?(?:scales?|scale_inv)(?:\.weight)?", re.ASCII)
_LAYERS = ".ple.layers"


def is_table(name: str) -> bool:
    """Tell whether a tensor of this name is a table."""
    return _TABLE.fullmatch(name) is not None


def gguf_model(path: Path) -> GgufModel:
    """Read the headers of a model; see `engramctl.gguf.parts.read_model`."""
    return read_model(path, is_table)


def gguf_tables(model: GgufModel) -> CheckpointTables:
    """Return the tables of a model's GGUF files.

    Raises:
        FormatError: no table in them, one twice, one of a type we cannot read, or a cut file.
    """
    scales = {found[1]: one for one in model.tensors if (found := _SCALE.fullmatch(one.name))}
    weights: dict[str, dict[int, Tensor]] = {"head": {}, "layer": {}}
    factors: dict[str, dict[int, Tensor]] = {"head": {}, "layer": {}}
    forms: dict[RowForm, str] = {}
    for one in model.tensors:
        found = _TABLE.fullmatch(one.name)
        if found is None:
            continue
        scale = scales.get(found[1])
        form = row_form(one, scale)
        forms.setdefault(form, one.name)
        number = int(found[2] or found[3] or _first_layer(model))
        what = ("head", "table") if found[2] else ("layer", "the table of layer")
        tensor = _bytes_of(one, form.weight_bytes, model)
        put_once(weights[what[0]], number, tensor, what[1])
        if scale is not None and form.scale_bytes:
            factors[what[0]][number] = _bytes_of(scale, form.scale_bytes, model, tensor.shape[0])
    if len(forms) != 1 or (weights["head"] and weights["layer"]):
        raise FormatError(
            f"{model.path} holds no tables of one kind",
            facts={
                "file": model.path,
                "expected": "per_layer_token_embd.weight, ngram_embd.N.weight or "
                "blk.L.engram_embd.weight",
                "found": [f"{name}: {form.name}" for form, name in forms.items()] or "none of them",
            },
            hint=None if forms else "of a split model the tables are in other parts",
        )
    form = next(iter(forms))
    kind = "head" if weights["head"] else "layer"
    tables: dict[int, tuple[Region, ...]] = {}
    for layer, values, scaled in _layers(weights[kind], factors[kind], kind):
        regions = stacked(values, 0, "U8", form.weight_bytes, "a table")
        if form.scale_bytes:
            regions += stacked(scaled, form.weight_bytes, "U8", form.scale_bytes, "scales")
        tables[layer] = tuple(regions)
    _check_whole(model)
    return CheckpointTables(model.path, form.record, tables, {}, form.packing)


def _layers(
    weights: dict[int, Tensor], factors: dict[int, Tensor], kind: str
) -> list[tuple[int, list[Tensor], list[Tensor]]]:
    """Return each layer's tensors in the order of its rows, and those of its scales."""
    if kind == "head":
        return [(0, numbered(weights, "table"), [factors[one] for one in sorted(factors)])]
    return [
        (layer, [one], [factors[layer]] if layer in factors else [])
        for layer, one in sorted(weights.items())
    ]


def _first_layer(model: GgufModel) -> int:
    one = next((n for name, n in model.integers.items() if name.endswith(_LAYERS)), 0)
    lists = [found for name, found in model.lists.items() if name.endswith(_LAYERS)]
    if not lists or not lists[0].count:
        return one
    return int(read_integers(replace(lists[0], count=1))[0])


def _bytes_of(found: GgufTensor, width: int, model: GgufModel, rows: int | None = None) -> Tensor:
    """Return a tensor as rows of bytes; `rows` where its own shape may leave out a size of one."""
    size = model.file_bytes[found.path]
    count = rows_of(found, size) if rows is None else rows
    num_bytes = count * width
    if found.offset + num_bytes > size:
        raise FormatError(
            f"'{found.name}' does not fit its file: {found.path.name} was cut",
            facts={
                "file": found.path,
                "expected": f"{found.offset + num_bytes:,} bytes",
                "found": f"shape {list(reversed(found.shape))}, {size:,} bytes",
            },
            hint="fetch the file again",
        )
    return Tensor(found.path, found.name, "U8", (count, width), found.offset, num_bytes)


def _check_whole(model: GgufModel) -> None:
    """Refuse a file that ends before one of its tensors does, a table or not."""
    for one in model.tensors:
        size = model.file_bytes[one.path]
        width = row_bytes(one.kind, one.shape[0])
        if width is not None and one.offset + width * rows_of(one, size) > size:
            _bytes_of(one, width, model)
