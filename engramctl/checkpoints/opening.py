"""A model's files -> its tables in place, and its scheme where the config has it."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import xxhash

from engramctl.checkpoints.families import family_tables, find_family
from engramctl.checkpoints.gguf_file import gguf_model, gguf_tables
from engramctl.checkpoints.gguf_scheme import scheme_or_reason
from engramctl.checkpoints.raw_shards import DONE, raw_tables
from engramctl.checkpoints.scheme import CONFIG, read_scheme
from engramctl.checkpoints.stacked_tensors import check_scales
from engramctl.checkpoints.tensor_files import read_tensors
from engramctl.errors import FormatError
from engramctl.gguf.parts import gguf_files
from engramctl.hashing import Lookup, Scheme
from engramctl.storage.kinds.files import beginning
from engramctl.storage.kinds.recognise import refused
from engramctl.storage.reading.source import CheckpointTables, Source


@dataclass(frozen=True)
class Checkpoint:
    """A model's tables, read where they lie.

    Attributes:
        family: deepseek-v41, qwen-ple, longcat, over-encoding, gguf or raw-shards.
        rows: the tables.
        scheme: from its config.json or a GGUF file's constants, with the rows' dtype; None where
            there is none.
        no_scheme: why constants that are there give no scheme.
    """

    family: str
    rows: CheckpointTables
    scheme: Lookup | None
    no_scheme: str | None = None


def places_digest(rows: CheckpointTables) -> str:
    """Return the xxh3-128 of where every row lies: the headers, said shortly."""
    places = [
        {
            "layer": layer,
            "file": [region.path.name, region.path.stat().st_size],
            "place": [region.offset, region.column, region.row_start, region.row_stop],
        }
        for layer in rows.layers
        for region in rows.regions(layer)
    ]
    return xxhash.xxh3_128_hexdigest(json.dumps(places).encode())


def is_checkpoint(path: Path | str) -> bool:
    """Tell whether a path looks like a model's files, and not like a folder of ours."""
    path = Path(path)
    if path.is_dir():
        return not (path / "manifest.json").exists() and any(
            next(path.glob(pattern), None) for pattern in ("*.safetensors", "**/*" + DONE, "*.gguf")
        )
    return path.is_file() and (path.suffix == ".gguf" or beginning(path).startswith(b"GGUF"))


def open_checkpoint(path: Path | str, tokenizer: Path | str | None = None) -> Checkpoint:
    """Open a model's tables in place: nothing is copied or converted.

    Args:
        path: a folder of safetensors files with config.json, one of raw shards, a GGUF file or any
            part of a split one, or a folder of those.
        tokenizer: see `read_scheme`; of use to a folder with config.json only.

    Raises:
        FormatError: no table of a known family, or what is wrong with it.
        ConfigError: config.json and the tensors do not fit each other.
        StorageError: a file cannot be read.
    """
    found = _open(Path(path), None if tokenizer is None else Path(tokenizer))
    check_scales(found.rows)
    return found


def _open(path: Path, tokenizer: Path | None) -> Checkpoint:
    if path.is_file() or _holds_gguf_alone(path):
        return _open_gguf(path)
    if next(path.rglob("*" + DONE), None):
        return Checkpoint("raw-shards", raw_tables(path), None)
    tensors = read_tensors(path)
    family = find_family(tensors)
    if family is None and not tensors and (error := refused(path, "a checkpoint")):
        raise error
    if family is None:
        raise FormatError(
            f"{path} holds no n-gram tables of a known family",
            facts={"folder": path, "found": f"{len(tensors):,} tensors, none of them a table"},
            hint="name the folder of the whole checkpoint: tables may be in its last files",
        )
    rows = family_tables(family, path, tensors)
    return Checkpoint(family, rows, _scheme(path, rows, tokenizer))


def _holds_gguf_alone(path: Path) -> bool:
    return bool(gguf_files(path)) and not next(path.glob("*.safetensors"), None)


def _open_gguf(path: Path) -> Checkpoint:
    model = gguf_model(path)
    rows = gguf_tables(model)
    scheme, reason = scheme_or_reason(model, rows)
    if scheme is not None:
        try:
            check_rows(path, scheme, rows)
            check_heads(path, scheme, rows)
        except FormatError as error:
            scheme, reason = None, error.message
    return Checkpoint("gguf", rows, scheme, reason)


def _scheme(path: Path, rows: CheckpointTables, tokenizer: Path | None) -> Lookup | None:
    if not (path / CONFIG).exists():
        return None
    scheme = read_scheme(path, tokenizer)
    check_rows(path, scheme, rows)
    check_heads(path, scheme, rows)
    return replace(scheme, dtype=rows.record.dtype)


def check_rows(
    path: Path,
    scheme: Lookup,
    rows: Source,
    hint: str = "a shard is missing, or config.json is from another model",
) -> None:
    """Compare a scheme with tables: layers, rows and row_dim.

    Raises:
        FormatError: they do not fit.
    """
    found = {layer: rows.num_rows(layer) for layer in rows.layers}
    wanted = {layer: scheme.num_rows(layer) for layer in sorted(scheme.layers)}
    if found != wanted or rows.record.row_dim != scheme.row_dim:
        raise FormatError(
            f"the tables of {path} are not those of the scheme",
            facts={
                "expected": f"rows {wanted}, row_dim {scheme.row_dim}",
                "found": f"rows {found}, row_dim {rows.record.row_dim}",
            },
            hint=hint,
        )


def check_heads(path: Path, scheme: Lookup, rows: CheckpointTables) -> None:
    """Compare a scheme with tables of one tensor a head: where heads are cut.

    Raises:
        FormatError: two tables have changed places.
    """
    if not isinstance(scheme, Scheme):
        return
    for layer in rows.layers:
        starts = [head.offset for head in scheme.layer_hash(layer).heads]
        cuts = [region.row_start for region in rows.regions(layer) if region.column == 0]
        if len(cuts) == len(starts) and cuts != starts:
            raise FormatError(
                f"the tables of {path} are cut elsewhere than its scheme's heads",
                facts={"expected": starts[:5], "found": cuts[:5]},
                hint="two tables have changed places, or config.json is from another model",
            )
