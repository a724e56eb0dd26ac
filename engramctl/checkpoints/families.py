"""The families whose tables lie in safetensors files: their tensors' names and scale rules.

Sources: the published checkpoints of DeepSeek-V4.1, LongCat and Qwen3.8-Flash-Next; for
Over-Encoding names of ours.
"""

import re
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path

from engramctl.checkpoints.stacked_tensors import need, numbered, put_once, scalar, stacked
from engramctl.errors import FormatError
from engramctl.storage.files.safetensors_header import Tensor
from engramctl.storage.reading.region import Region
from engramctl.storage.reading.source import CheckpointTables
from engramctl.storage.record.record import BLOCK_VALUES, RecordSpec

_NUMBER = r"(\d{1,5})"  # a layer, a shard, a table: names are a stranger's
_V41 = re.compile(rf"(?:model\.)?layers\.{_NUMBER}\.engram\.embed\.weight", re.ASCII)
_QWEN = re.compile(
    rf"(.*\blayers\.{_NUMBER}\..*ngram_embedding)\.(?:(shard_|shards\.){_NUMBER}\.)?weight",
    re.ASCII,
)
_LONGCAT = re.compile(
    rf"model\.(?:ngram_embeddings\.embedders\.|oe_embed_tokens){_NUMBER}\.weight", re.ASCII
)
_OVER_ENCODING = re.compile(rf"(?:model\.)?oe_embeddings\.{_NUMBER}\.weight", re.ASCII)
_PLAIN = {"F32": "f32", "BF16": "bf16", "F16": "f16"}
Tensors = Mapping[str, Tensor]


def find_family(tensors: Tensors) -> str | None:
    """Return the family whose tables are among the tensors, or None."""
    for family, (pattern, _) in _FAMILIES.items():
        if any(pattern.fullmatch(name) for name in tensors):
            return family
    return None


def family_tables(family: str, path: Path, tensors: Tensors) -> CheckpointTables:
    """Return a family's tables in place, scales checked.

    Raises:
        FormatError: a tensor is missing, of another dtype or shape, or a scale cannot be.
    """
    return _FAMILIES[family][1](path, tensors)


def _deepseek_v41(path: Path, tensors: Tensors) -> CheckpointTables:
    tables: dict[int, tuple[Region, ...]] = {}
    weights: dict[int, Tensor] = {}
    record = None
    for name in sorted(tensors, key=_number):
        found = _V41.fullmatch(name)
        if found is None:
            continue
        weight = tensors[name]
        put_once(weights, int(found[1]), weight, "the table of layer")
        scale = need(
            tensors, name.removesuffix("weight") + "scale", f"F8_E8M0, one a {BLOCK_VALUES} values"
        )
        spec = RecordSpec("f8_e4m3", _columns(weight))
        record = _same(record, spec, weight)
        scales = stacked([scale], spec.weight_bytes, "F8_E8M0", spec.scale_bytes, "scales")
        values = stacked([weight], 0, "F8_E4M3", spec.weight_bytes, "a table")
        tables[int(found[1])] = (*values, *scales)
    assert record is not None
    return CheckpointTables(path, record, tables, {})


def _qwen(path: Path, tensors: Tensors) -> CheckpointTables:
    stems: dict[str, dict[int, Tensor]] = defaultdict(dict)
    layers: dict[str, int] = {}
    prefixes: dict[str, str] = {}
    for name, tensor in tensors.items():
        found = _QWEN.fullmatch(name)
        if found:
            stem = found[1]
            number = int(found[4] or 0)
            put_once(stems[stem], number, tensor, f"shard of '{stem}'")
            layers[stem] = int(found[2])
            prefixes[stem] = found[3] or ""
    tables: dict[int, tuple[Region, ...]] = {}
    factors: dict[int, float | None] = {}
    firsts: dict[int, Tensor] = {}
    record = None
    for stem, found_shards in stems.items():
        shards = numbered(found_shards, f"shard of '{stem}'")
        regions, spec, factor = _qwen_table(stem, prefixes[stem], shards, tensors)
        record = _same(record, spec, shards[0])
        put_once(firsts, layers[stem], shards[0], "the table of layer")
        tables[layers[stem]], factors[layers[stem]] = regions, factor
    assert record is not None
    return CheckpointTables(path, record, tables, factors)


def _qwen_table(
    stem: str, prefix: str, shards: list[Tensor], tensors: Tensors
) -> tuple[tuple[Region, ...], RecordSpec, float | None]:
    first = shards[0]
    if first.dtype in _PLAIN:
        spec = RecordSpec(_PLAIN[first.dtype], _columns(first))
        return tuple(stacked(shards, 0, first.dtype, spec.weight_bytes, "a table")), spec, None
    if first.dtype == "F8_E4M3":
        scale = need(tensors, f"{stem}.weight_scale", "the one scale of the table")
        spec = RecordSpec("f8_e4m3_scalar", _columns(first))
        values = stacked(shards, 0, "F8_E4M3", spec.weight_bytes, "a table")
        return tuple(values), spec, scalar(scale)
    spec = RecordSpec("nvfp4", 2 * _columns(first))
    values = stacked(shards, 0, "U8", spec.weight_bytes, "a table of two values a byte")
    places = [
        f"{stem}.{prefix}{number}." if prefix else f"{stem}." for number in range(len(shards))
    ]
    scales = [need(tensors, f"{place}weight_scale", "F8_E4M3, one a 16 values") for place in places]
    regions = stacked(scales, spec.weight_bytes, "F8_E4M3", spec.scale_bytes, "scales")
    whole = [tensors[name] for name in (f"{stem}.weight_scale_2",) if name in tensors]
    whole = whole or [
        need(tensors, f"{place}weight_scale_2", "the scale of the table") for place in places
    ]
    factors = {scalar(one) for one in whole}
    if len(factors) > 1:
        raise FormatError(
            f"the shards of '{stem}' have scales that differ",
            facts={"expected": "one weight_scale_2", "found": sorted(factors)[:4]},
        )
    return (*values, *regions), spec, factors.pop()


def _one_tensor_a_head(pattern: re.Pattern[str]) -> Callable[[Path, Tensors], CheckpointTables]:
    def tables(path: Path, tensors: Tensors) -> CheckpointTables:
        found: dict[int, Tensor] = {}
        for name, tensor in tensors.items():
            if match := pattern.fullmatch(name):
                put_once(found, int(match[1]), tensor, "table")
        heads = numbered(found, "table")
        if heads[0].dtype not in _PLAIN:
            raise FormatError(
                f"'{heads[0].name}' cannot be a table",
                facts={"expected": ", ".join(_PLAIN), "found": heads[0].dtype},
            )
        spec = RecordSpec(_PLAIN[heads[0].dtype], _columns(heads[0]))
        regions = stacked(heads, 0, heads[0].dtype, spec.weight_bytes, "a table like the others")
        return CheckpointTables(path, spec, {0: tuple(regions)}, {})

    return tables


def _columns(tensor: Tensor) -> int:
    if len(tensor.shape) != 2 or not all(tensor.shape):
        raise FormatError(
            f"'{tensor.name}' is no table",
            facts={"file": tensor.path, "expected": "rows and columns", "found": tensor.shape},
        )
    return tensor.shape[1]


def _same(before: RecordSpec | None, spec: RecordSpec, tensor: Tensor) -> RecordSpec:
    if before not in (None, spec):
        raise FormatError(
            f"'{tensor.name}' is stored unlike the other layers",
            facts={"file": tensor.path, "expected": before, "found": spec},
        )
    return spec


def _number(name: str) -> tuple[int, str]:
    found = _V41.fullmatch(name)
    return (int(found[1]) if found else -1), name


_FAMILIES: dict[str, tuple[re.Pattern[str], Callable[[Path, Tensors], CheckpointTables]]] = {
    "deepseek-v41": (_V41, _deepseek_v41),
    "qwen-ple": (_QWEN, _qwen),
    "longcat": (_LONGCAT, _one_tensor_a_head(_LONGCAT)),
    "over-encoding": (_OVER_ENCODING, _one_tensor_a_head(_OVER_ENCODING)),
}
