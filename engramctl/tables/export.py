"""Tables back to what engines load: safetensors with a family's names, or raw shards."""

import json
import struct
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engramctl import __version__
from engramctl.checkpoints.exported import FAMILIES, Cuts, Piece, Ranges, pieces_of, row_cuts
from engramctl.checkpoints.raw_shards import DONE, raw_name
from engramctl.errors import ConfigError
from engramctl.hashing import Scheme, lookup_from_dict
from engramctl.hashing.released.buffers import constants_of
from engramctl.model_folder.index import INDEX
from engramctl.storage.files.atomic import new_file, os_errors, write_all, write_json
from engramctl.storage.files.free_space import check_space
from engramctl.storage.reading.source import RecordReader
from engramctl.storage.writing.exported_folder import MAKER
from engramctl.storage.writing.ownership import check_target
from engramctl.storage.writing.partial_folder import PartialDirectory
from engramctl.tables.layout import head_rows
from engramctl.tables.opened_rows import Opened

SCHEMA = "engramctl.export/1"
RAW = "raw-shards"
PARTS = 128
FILE_BYTES = 5 << 30  # of one safetensors file, about
CHUNK_BYTES = 8 << 20
Progress = Callable[[int], None]


@dataclass(frozen=True)
class ExportFile:
    """One file to be written: a header, and the data of tensors one after the other."""

    name: str
    header: bytes
    pieces: tuple[Piece, ...]

    @property
    def num_bytes(self) -> int:
        """The whole file's length."""
        return len(self.header) + sum(piece.num_bytes for piece in self.pieces)


@dataclass(frozen=True)
class ExportPlan:
    """An export, decided to the byte.

    Attributes:
        family: whose names, or raw-shards.
        files: with row data.
        documents: JSON files beside them.
    """

    family: str
    files: tuple[ExportFile, ...]
    documents: dict[str, dict[str, Any]]

    @property
    def total_bytes(self) -> int:
        """Bytes of all files with rows."""
        return sum(file.num_bytes for file in self.files)


def plan_export(
    source: Opened,
    family: str | None = None,
    *,
    parts: int | None = None,
    file_bytes: int = FILE_BYTES,
) -> ExportPlan:
    """Decide an export; nothing is written.

    Args:
        source: the rows.
        family: whose names; None: that of the scheme.
        parts: row shards of qwen-ple and raw-shards; None: as the source has them, where it is a
            checkpoint of qwen-ple, else PARTS.
        file_bytes: of one safetensors file, about; a tensor is never cut.

    Raises:
        ConfigError: no such family, or one that has no such rows.
    """
    name = family or str(source.scheme.get("name"))
    if parts is not None and parts < 1:
        raise ConfigError("--parts must be 1 at least")
    if name == RAW:
        return _plan_raw(source, parts)
    if family is None and name not in FAMILIES:
        raise ConfigError(
            f"scheme '{name}' names no family of checkpoints",
            facts={"known": ", ".join((*FAMILIES, RAW))},
            hint="choose one with --family",
        )

    def cuts(layer: int) -> Cuts:
        constants = _constants(source, layer) if name == "qwen-ple" else {}
        return Cuts(head_rows(source, layer), _shards(source, layer, parts), constants)

    groups: list[list[Piece]] = []
    size = file_bytes
    for piece in pieces_of(name, source.rows, cuts):
        if size + piece.num_bytes > file_bytes:
            groups.append([])
            size = 0
        groups[-1].append(piece)
        size += piece.num_bytes
    files = []
    places: dict[str, str] = {}
    for number, group in enumerate(groups, 1):
        file = f"model-{number:05d}-of-{len(groups):05d}.safetensors"
        places |= {piece.name: file for piece in group}
        files.append(ExportFile(file, _header(group), tuple(group)))
    total = sum(piece.num_bytes for group in groups for piece in group)
    index = {"metadata": {"total_size": total}, "weight_map": places}
    return ExportPlan(name, tuple(files), {INDEX: index})


def _shards(source: Opened, layer: int, parts: int | None) -> Ranges:
    """Return row shards: those of a checkpoint that has them, unless their number is asked for."""
    rows = source.rows
    if parts is None and source.family == "qwen-ple":
        return [(one.row_start, one.row_stop) for one in rows.regions(layer) if not one.column]
    return row_cuts(rows.num_rows(layer), parts or PARTS)


def _constants(source: Opened, layer: int) -> dict[str, list[int]]:
    """Return the constants that Qwen's checkpoints ship; none of a scheme that has others."""
    scheme = lookup_from_dict(dict(source.scheme))
    if not isinstance(scheme, Scheme) or scheme.name != "qwen-ple" or not source.has_constants:
        return {}
    return constants_of(scheme.layer_hash(layer))


def _header(pieces: Sequence[Piece]) -> bytes:
    document: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    at = 0
    for piece in pieces:
        offsets = [at, at + piece.num_bytes]
        document[piece.name] = {
            "dtype": piece.dtype,
            "shape": list(piece.shape),
            "data_offsets": offsets,
        }
        at = offsets[1]
    text = json.dumps(document, separators=(",", ":")).encode()
    text = text.ljust(-(-len(text) // 8) * 8, b" ")
    return struct.pack("<Q", len(text)) + text


def _plan_raw(source: Opened, parts: int | None) -> ExportPlan:
    rows, record = source.rows, source.rows.record
    columns = {"weight": (0, record.weight_bytes)}
    if record.scale_bytes:
        columns["scale"] = (record.weight_bytes, record.record_bytes)
    files = []
    documents = {}
    for layer in rows.layers:
        for shard, cut in enumerate(_shards(source, layer, parts)):
            stem = f"layer{layer:02d}/{raw_name(*cut, shard)}"
            for part, span in columns.items():
                piece = Piece(part, "U8", (), layer, cut, span)
                files.append(ExportFile(f"{stem}.{part}.bin", b"", (piece,)))
            documents[stem + DONE] = {
                "layer": layer,
                "num_rows": rows.num_rows(layer),
                "rows": list(cut),
                "dtype": record.dtype,
                "row_dim": record.row_dim,
                "table_scale": rows.table_scale(layer),
            }
    return ExportPlan(RAW, tuple(files), documents)


def run_export(
    source: Opened,
    plan: ExportPlan,
    out: Path,
    *,
    force: bool = False,
    progress: Progress = lambda amount: None,
) -> None:
    """Write a planned export; the folder is whole or is not there.

    Args:
        source: the rows.
        plan: what to write.
        out: the folder to make.
        force: replace an export of ours.
        progress: told of bytes as they are written.

    Raises:
        ConfigError: the folder is taken.
        StorageError: no space, or a read or write failed.
    """
    check_target(out, MAKER, force=force)
    check_space(plan.total_bytes, out)
    with (
        PartialDirectory(out, MAKER, force=force) as work,
        RecordReader(source.rows) as reader,
        os_errors("write", work.path),
    ):
        for file in plan.files:
            path = work.path / file.name
            path.parent.mkdir(exist_ok=True)
            with new_file(path) as descriptor:
                at = 0
                for data in _data(reader, file):
                    write_all(descriptor, data, at)
                    at += len(data)
                    progress(len(data))
        for name, document in plan.documents.items():
            write_json(work.path / name, document)
        work.publish(
            {
                "schema": SCHEMA,
                "created_by": f"engramctl {__version__}",
                "family": plan.family,
                "source": {"path": str(source.path), "manifest_xxh3_128": source.digest},
                "scheme": source.scheme,
            },
            [*(file.name for file in plan.files), *plan.documents],
        )


def _data(reader: RecordReader, file: ExportFile) -> Iterator[memoryview]:
    """Give a file's bytes in pieces of some MiB: the header, then each tensor's."""
    yield memoryview(file.header)
    width = reader.source.record.record_bytes
    for piece in file.pieces:
        if piece.value is not None:
            yield memoryview(piece.value)
            continue
        step = max(1, CHUNK_BYTES // width)
        for start in range(*piece.rows, step):
            records = np.empty((min(step, piece.rows[1] - start), width), np.uint8)
            reader.read(piece.layer, start, records)
            chosen = np.ascontiguousarray(records[:, piece.columns[0] : piece.columns[1]])
            yield chosen.reshape(-1).data
