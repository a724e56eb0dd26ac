"""The families whose tables lie in safetensors files: tensors -> tables in place.

Sources: the published checkpoints of DeepSeek-V4.1, LongCat and Qwen3.8-Flash-Next; for
Over-Encoding names of ours.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from engramctl.checkpoints.family_names import WEIGHTS
from engramctl.checkpoints.scaled_rows import ScaledRows, scaled_rows
from engramctl.checkpoints.stacked_tensors import numbered, put_once
from engramctl.errors import FormatError
from engramctl.hashing import Lookup, Scheme
from engramctl.model_folder.joined import TableRows
from engramctl.model_folder.tensors import Parts
from engramctl.storage.files.safetensors_header import Tensor
from engramctl.storage.reading.source import CheckpointTables


def family_tables(
    family: str, path: Path, tensors: Parts, scheme: Lookup | None = None
) -> CheckpointTables:
    """Return a family's tables in place, scales checked.

    Args:
        family: one of `names.WEIGHTS`.
        path: for messages.
        tensors: of the checkpoint.
        scheme: says how the parts of rank files are joined; of no use without those.

    Raises:
        FormatError: a tensor is missing, of another dtype or shape, or a scale cannot be.
    """
    made = _FAMILIES[family](tensors, scheme)
    firsts = list(made.values())
    for layer, one in made.items():
        if one.record != firsts[0].record:
            raise FormatError(
                f"the table of layer {layer} is stored unlike the other layers",
                facts={
                    "file": one.regions[0].path,
                    "expected": firsts[0].record,
                    "found": one.record,
                },
            )
    return CheckpointTables(
        path,
        firsts[0].record,
        {layer: one.regions for layer, one in sorted(made.items())},
        {layer: one.factor for layer, one in made.items() if one.factor is not None},
    )


def _deepseek_v41(tensors: Parts, scheme: Lookup | None) -> dict[int, ScaledRows]:
    stems: dict[int, str] = {}
    firsts: dict[int, Tensor] = {}
    for name in tensors:
        if found := WEIGHTS["deepseek-v41"].fullmatch(name):
            put_once(firsts, int(found[2]), tensors[name][0], "the table of layer")
            stems[int(found[2])] = found[1]
    return {
        layer: scaled_rows(stem, [stem], tensors, [_layer_rows(scheme, layer)], "scale")
        for layer, stem in sorted(stems.items())
    }


def _qwen(tensors: Parts, scheme: Lookup | None) -> dict[int, ScaledRows]:
    tables: dict[str, dict[int, Tensor]] = defaultdict(dict)
    places: dict[str, dict[int, str]] = defaultdict(dict)
    layers: dict[str, int] = {}
    for name in tensors:
        if found := WEIGHTS["qwen-ple"].fullmatch(name):
            place, stem, layer, number = found[1], found[2], int(found[3]), int(found[5] or 0)
            put_once(tables[stem], number, tensors[name][0], f"shard of '{stem}'")
            places[stem][number] = place
            layers[stem] = layer
    firsts: dict[int, Tensor] = {}
    made: dict[int, ScaledRows] = {}
    for stem, shards in tables.items():
        numbered(shards, f"shard of '{stem}'")
        put_once(firsts, layers[stem], shards[0], "the table of layer")
        whole = _layer_rows(scheme, layers[stem])
        ordered = [places[stem][number] for number in range(len(shards))]
        wanted = [whole] if len(ordered) == 1 else _shard_rows(whole, len(ordered))
        made[layers[stem]] = scaled_rows(stem, ordered, tensors, wanted, "weight_scale")
    return made


def _one_tensor_a_head(family: str) -> Callable[[Parts, Lookup | None], dict[int, ScaledRows]]:
    def tables(tensors: Parts, scheme: Lookup | None) -> dict[int, ScaledRows]:
        firsts: dict[int, Tensor] = {}
        stems: dict[int, str] = {}
        for name in tensors:
            if found := WEIGHTS[family].fullmatch(name):
                put_once(firsts, int(found[2]), tensors[name][0], "table")
                stems[int(found[2])] = found[1]
        numbered(firsts, "table")
        places = [stems[number] for number in range(len(firsts))]
        wanted: list[TableRows | None] = [None] * len(places)
        whole = _layer_rows(scheme, 0)
        if whole is not None and len(whole.heads) == len(places):
            wanted = [TableRows(rows, (rows,)) for rows in whole.heads]
        return {0: scaled_rows(places[0], places, tensors, wanted, "weight_scale")}

    return tables


def _layer_rows(scheme: Lookup | None, layer: int) -> TableRows | None:
    if not isinstance(scheme, Scheme) or layer not in scheme.layers:
        return None
    heads = [head.modulus for head in scheme.layer_hash(layer).heads]
    num_rows = scheme.num_rows(layer)
    heads[-1] += num_rows - sum(heads)
    return TableRows(num_rows, tuple(heads))


def _shard_rows(whole: TableRows | None, shards: int) -> Sequence[TableRows | None]:
    """Return the rows of row shards, ceil(rows / shards) each, the last one shorter."""
    if whole is None:
        return [None] * shards
    step = -(-whole.num_rows // shards)
    cuts = [min(step, whole.num_rows - step * number) for number in range(shards)]
    return [TableRows(rows, (rows,)) for rows in cuts]


_FAMILIES: Mapping[str, Callable[[Parts, Lookup | None], dict[int, ScaledRows]]] = {
    "deepseek-v41": _deepseek_v41,
    "qwen-ple": _qwen,
    "longcat": _one_tensor_a_head("longcat"),
    "over-encoding": _one_tensor_a_head("over-encoding"),
}
