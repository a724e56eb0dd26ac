"""A model's files -> its tables in place, and its scheme where the config has it."""

import json
from dataclasses import dataclass, replace
from pathlib import Path

import xxhash

from engramctl.checkpoints.families import family_tables
from engramctl.checkpoints.family_names import find_family, is_part_of
from engramctl.checkpoints.gguf_file import gguf_model, gguf_tables
from engramctl.checkpoints.raw_shards import DONE, raw_tables
from engramctl.checkpoints.scheme import scheme_of
from engramctl.checkpoints.stacked_tensors import check_scales
from engramctl.errors import FormatError
from engramctl.gguf.parts import gguf_files
from engramctl.gguf.scheme import scheme_or_reason
from engramctl.hashing import Lookup, Scheme
from engramctl.hashing.released.buffers import is_buffer
from engramctl.model_folder.place import CONFIG, Place, find_place
from engramctl.model_folder.tensors import FolderTensors, check_absent, read_folder
from engramctl.storage.files.published import MANIFEST
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
        notes: which of its files are absent, or read instead of what was named.
        has_constants: whether its files hold the scheme's constants too.
    """

    family: str
    rows: CheckpointTables
    scheme: Lookup | None
    no_scheme: str | None = None
    notes: tuple[str, ...] = ()
    has_constants: bool = False

    @property
    def is_cut_by_heads(self) -> bool:
        """Whether the family has one tensor a head, so that tensors end where heads do."""
        return self.family in ("longcat", "over-encoding", "gguf")


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
    if find_place(path) is not None:
        return True
    if path.is_dir():
        return not (path / MANIFEST).exists() and any(
            next(path.glob(pattern), None) for pattern in ("**/*" + DONE, "*.gguf")
        )
    return path.is_file() and (path.suffix == ".gguf" or beginning(path).startswith(b"GGUF"))


def open_checkpoint(
    path: Path | str, tokenizer: Path | str | None = None, scheme: Lookup | None = None
) -> Checkpoint:
    """Open a model's tables in place: nothing is copied or converted.

    Args:
        path: a folder of safetensors files with config.json, one of them or their index; a folder
            of raw shards; a GGUF file or any part of a split one, or a folder of those.
        tokenizer: see `read_scheme`; of use to a folder with config.json only.
        scheme: of a folder without config.json, whose rank files it joins.

    Raises:
        FormatError: no table of a known family, or what is wrong with it.
        ConfigError: config.json and the tensors do not fit each other.
        StorageError: a file cannot be read.
    """
    found = _open(Path(path), None if tokenizer is None else Path(tokenizer), scheme)
    check_scales(found.rows)
    return found


def _open(path: Path, tokenizer: Path | None, scheme: Lookup | None) -> Checkpoint:
    place = find_place(path)
    if (path.is_file() and place is None) or _holds_gguf_alone(path):
        return _open_gguf(path)
    if path.is_dir() and next(path.rglob("*" + DONE), None):
        return Checkpoint("raw-shards", raw_tables(path), None)
    if place is None:
        if error := refused(path, "a checkpoint"):
            raise error
        return Checkpoint("raw-shards", raw_tables(path), None)
    return _open_safetensors(path, place, tokenizer, scheme)


def open_without_config(path: Path, scheme: Lookup) -> Checkpoint | None:
    """Open tables whose scheme the caller has: config.json is not read.

    Args:
        path: a safetensors file, or a folder of them.
        scheme: joins rank files.

    Returns:
        the tables, their scales not looked at, or None: the files hold none of a known family.

    Raises:
        FormatError: a table is not whole.
        StorageError: a file cannot be read.
    """
    place = find_place(path) if path.is_dir() else Place(path.parent, path.parent, only=path)
    found = None if place is None else read_folder(place, find_family)
    family = None if found is None else _family(found)
    if found is None or family is None:
        return None
    rows = family_tables(family, path, found.tensors, scheme)
    return Checkpoint(family, rows, None, notes=found.notes)


def _family(found: FolderTensors) -> str | None:
    """Return the family of a folder's tables, none of which is absent."""
    family = find_family((*found.tensors, *found.absent, *found.astray))
    check_absent(found, lambda name: is_part_of(family, name))
    return family


def _open_safetensors(
    path: Path, place: Place, tokenizer: Path | None, scheme: Lookup | None
) -> Checkpoint:
    found = read_folder(place, find_family)
    family = _family(found)
    if family is None:
        absent = f", {len(found.absent):,} more in absent files" if found.absent else ""
        raise FormatError(
            f"{path} holds no n-gram tables of a known family",
            facts={
                "folder": place.folder,
                "found": f"{len(found.tensors):,} tensors, none of them a table{absent}",
            },
            hint="name the folder of the whole checkpoint: tables may be in its last files",
        )
    own = None
    if (place.model / CONFIG).exists():
        own = scheme_of(place.model, found, tokenizer)
    rows = family_tables(family, path, found.tensors, own or scheme)
    has_constants = any(map(is_buffer, found.tensors))
    opened = Checkpoint(family, rows, None, notes=found.notes, has_constants=has_constants)
    if own is None:
        return opened
    check_rows(path, own, rows)
    check_heads(own, opened)
    return replace(opened, scheme=replace(own, dtype=rows.record.dtype))


def _holds_gguf_alone(path: Path) -> bool:
    return bool(gguf_files(path)) and not next(path.glob("*.safetensors"), None)


def _open_gguf(path: Path) -> Checkpoint:
    model = gguf_model(path)
    rows = gguf_tables(model)
    scheme, reason = scheme_or_reason(model, rows)
    if scheme is not None:
        try:
            check_rows(path, scheme, rows)
            check_heads(scheme, Checkpoint("gguf", rows, scheme))
        except FormatError as error:
            scheme, reason = None, error.message
    return Checkpoint("gguf", rows, scheme, reason)


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


def check_heads(scheme: Lookup, checkpoint: Checkpoint) -> None:
    """Compare a scheme with tables of one tensor a head: where heads are cut.

    Raises:
        FormatError: two tables have changed places.
    """
    if not isinstance(scheme, Scheme) or not checkpoint.is_cut_by_heads:
        return
    rows = checkpoint.rows
    for layer in rows.layers:
        starts = [head.offset for head in scheme.layer_hash(layer).heads]
        cuts = [region.row_start for region in rows.regions(layer) if region.column == 0]
        if len(cuts) == len(starts) and cuts != starts:
            raise FormatError(
                f"the tables of {rows.path} are cut elsewhere than its scheme's heads",
                facts={"expected": starts[:5], "found": cuts[:5]},
                hint="two tables have changed places, or config.json is from another model",
            )
