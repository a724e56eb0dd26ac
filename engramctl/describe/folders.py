"""What `inspect` says about a folder or file of ours."""

import os
import shlex
from pathlib import Path
from typing import Any

from engramctl.checkpoints.opening import is_checkpoint
from engramctl.counts.manifest import COUNTS_SCHEMA
from engramctl.describe.checkpoints import describe_checkpoint, scheme_facts
from engramctl.describe.ngram_logs import describe_log
from engramctl.describe.schemes import described_scheme
from engramctl.errors import ConfigError, EngramError, FormatError, StorageError, near
from engramctl.hashing import PRESETS, lookup_from_dict, make_scheme
from engramctl.results.file import not_as_written, result_of
from engramctl.reuse.study import SCHEMA as REUSE_SCHEMA
from engramctl.schemes.options import read_scheme
from engramctl.shown.facts import result_facts
from engramctl.storage.files.published import SUFFIX, partial_path, read_manifest, read_state
from engramctl.storage.files.strict_json import load_json, read_limited
from engramctl.storage.kinds.files import is_log
from engramctl.storage.kinds.recognise import recognise, refused
from engramctl.storage.reading.table import TableFiles, open_table

TABLE_SCHEMA = "engramctl.table/1"
SUMMARY = "summary.json"
_DESCRIBED = "tables, shards, counts, a checkpoint, a scheme.json, a result or an n-gram log"
COUNTS_SUMMARY_SCHEMA = "engramctl.counts-summary/1"


def describe(path: Path) -> dict[str, Any]:
    """Return a JSON document that says what `path` is; it may also be the name of a scheme.

    Raises:
        FormatError: it is none of ours, or not what it says.
        StorageError: it is not there or cannot be read.
    """
    name = str(path)
    if not path.exists() and not partial_path(path).is_dir():
        if name in PRESETS:
            return described_scheme(make_scheme(name))
        if question := near(name, PRESETS):
            raise StorageError(f"{name} is not there, and no scheme has this name", hint=question)
    if path.is_dir() and os.path.realpath(path).endswith(SUFFIX):
        return _unfinished(path)
    if not path.exists() and partial_path(path).is_dir():
        return _unfinished(partial_path(path))
    if is_checkpoint(path):
        return describe_checkpoint(path)
    if is_log(path):
        return describe_log(path)
    if path.is_file():
        return _result(path) or _scheme_file(path)
    if not path.is_dir() and (error := refused(path, _DESCRIBED)):
        raise error
    schema = read_manifest(path).get("schema")
    if schema == TABLE_SCHEMA:
        return _table(open_table(path))
    if schema == COUNTS_SCHEMA:
        return _counts(path, read_manifest(path))
    raise FormatError(
        f"{path} has an unknown schema",
        facts={"expected": f"{TABLE_SCHEMA} or {COUNTS_SCHEMA}", "found": ascii(schema)[:200]},
        hint="it may be from a newer engramctl",
    )


def _unfinished(partial: Path) -> dict[str, Any]:
    state = read_state(partial) or {}
    command = state.get("command")
    if not (isinstance(command, str) and command.isascii() and command.isalpha()):
        command = "build"  # nothing else of a stranger's file is offered to be run
    option = "--force" if state.get("resumable") is False else "--resume"
    name = partial.name.removesuffix(SUFFIX)
    target = shlex.quote(str(partial.with_name(name)))
    return {
        "path": str(partial),
        "kind": f"unfinished {command}",
        "bytes_on_disk": sum(one.stat().st_size for one in partial.rglob("*") if one.is_file()),
        "continue_with": f"engramctl {command} ... -o {target} {option}",
    }


def _result(path: Path) -> dict[str, Any] | None:
    """Return what a result of `bench` says, samples counted, or None when the file is none.

    Raises:
        FormatError: it calls itself one, and is not as `bench` writes them.
    """
    document = result_of(path)
    if document is None:
        return None
    try:
        return {"path": str(path), **result_facts(document)}
    except (ValueError, LookupError, TypeError, AttributeError, OverflowError) as error:
        raise not_as_written(path, error) from error


def _scheme_file(path: Path) -> dict[str, Any]:
    try:
        scheme = read_scheme(path)
    except ConfigError as error:
        kind = recognise(path)
        if kind is not None and kind.name != "scheme":
            raise kind.refused(path, _DESCRIBED) from error
        raise FormatError(
            f"{path} is not a scheme.json of ours: {error.message}",
            facts=error.facts,
            hint=error.hint or "name a folder with manifest.json, or a scheme.json",
        ) from error
    return {"path": str(path), **described_scheme(scheme)}


def _table(table: TableFiles) -> dict[str, Any]:
    manifest, layout, record = table.manifest, table.layout, table.record
    try:
        scheme = scheme_facts(lookup_from_dict(dict(manifest.scheme)))
    except ConfigError as error:
        raise FormatError(
            f"{table.path}: scheme is wrong: {error.message}", facts=error.facts, hint=error.hint
        ) from error
    rows = scheme["rows_per_token"]
    dictionary = {} if manifest.dictionary is None else manifest.dictionary.facts
    layers = [
        {
            "layer": one.layer,
            "num_rows": one.num_rows,
            "files": len(one.shards),
            "bytes": sum(shard.data_offset + shard.data_bytes for shard in one.shards),
        }
        for one in manifest.layers
    ]
    return {
        "path": str(table.path),
        "kind": manifest.kind,
        "tier": manifest.tier,
        **scheme,
        "form": layout.form,
        "record_bytes": record.record_bytes,
        "page_bytes": layout.page_bytes,
        "rows_per_page": layout.rows_per_page,
        "bytes_per_token": rows * record.record_bytes,
        "reads_per_token": rows * len(layout.parts),
        "total_bytes": sum(layer["bytes"] for layer in layers),
        "seed": manifest.provenance.seed,
        "made_by": manifest.created_by,
        "command": shlex.join(manifest.provenance.command),
        **{f"dictionary_{name}": value for name, value in dictionary.items()},
        "layers": layers,
    }


def _counts(path: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    try:
        files = [one for one in path.iterdir() if one.is_file()]
        total = sum(one.stat().st_size for one in files)
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    orders = manifest.get("orders")
    facts = {
        name: value
        for name, value in manifest.items()
        if isinstance(value, int | float | str) and name not in ("schema", "path", "kind")
    }
    return {
        "path": str(path),
        "kind": "counts",
        **facts,
        "files": len(files),
        "total_bytes": total,
        "orders": [
            {name: order.get(name) for name in ("order", "distinct", "kept")}
            for order in (orders if isinstance(orders, list) else [])
            if isinstance(order, dict)
        ],
        **_summary(path / SUMMARY),
    }


def _summary(file: Path) -> dict[str, Any]:
    """Return what the run found out: orders in full, `mine --scheme` and `mine --curves`."""
    try:
        found = load_json(read_limited(file))
    except (EngramError, ValueError):
        return {}
    if not isinstance(found, dict) or found.get("schema") != COUNTS_SUMMARY_SCHEMA:
        return {}
    document = {"max_token_id": found.get("max_token_id"), "orders": found.get("orders")}
    if found.get("access"):
        document["access"] = found["access"]
    reuse = found.get("reuse")
    if isinstance(reuse, dict) and reuse.get("schema") == REUSE_SCHEMA:
        document["reuse"] = reuse
    return document
