"""Tables: where a scheme's rows and the files they rest in meet.

`plan_build` says exactly what will be written, `run_build` writes it. The two packages below know
nothing of each other.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import engramctl
from engramctl.errors import CheckFailed, ConfigError, EngramError, FormatError
from engramctl.hashing import Lookup, Scheme, lookup_from_dict
from engramctl.relay import tier_form
from engramctl.schemes import DEFAULT_SCHEME, SchemeOptions, resolve_scheme
from engramctl.storage.checksum import file_digest
from engramctl.storage.format import EXTENT_BYTES
from engramctl.storage.geometry import Layout
from engramctl.storage.integrity import VerifyReport, verify, verify_files
from engramctl.storage.manifest import Manifest, Provenance
from engramctl.storage.plan import SHARD_BYTES, TablePlan, default_shard_rows
from engramctl.storage.publish import MANIFEST, read_manifest
from engramctl.storage.reader import TableFiles, open_table, rebuild_hint
from engramctl.storage.record import RecordSpec
from engramctl.storage.rows import RowFiller, RowInit
from engramctl.storage.writer import write_table

COUNTS_SCHEMA = "engramctl.counts/1"


@dataclass(frozen=True)
class BuildPlan:
    """A build, decided to the byte.

    Attributes:
        scheme: the scheme, with the table's dtype and row_dim.
        init: what rows hold.
        table: files and manifest.
        assumed: what was not given and so chosen, in words.
    """

    scheme: Lookup
    init: RowInit
    table: TablePlan
    assumed: tuple[str, ...]


def plan_build(
    options: SchemeOptions,
    *,
    init: RowInit | None = None,
    counts: Path | None = None,
    tier: str | None = None,
    shard_bytes: int = SHARD_BYTES,
    shard_rows: int | None = None,
    extent_bytes: int = EXTENT_BYTES,
) -> BuildPlan:
    """Decide a build; nothing is written.

    Args:
        options: scheme and sizes.
        init: what rows hold (default: normal).
        counts: folder of mined counts, recorded in the manifest.
        tier: lay the rows out for a tier in the same pass; None: planar tables.
        shard_bytes: records of one file, about.
        shard_rows: exact rows of one file, instead of `shard_bytes`.
        extent_bytes: data bytes under one checksum.

    Raises:
        ConfigError: an option is wrong.
        FormatError: `counts` is not a finished counts folder.
    """
    scheme = resolve_scheme(options)
    init = init or RowInit()
    form = "planar" if tier is None else tier_form(tier)
    layout = Layout.of(form, RecordSpec(scheme.dtype, scheme.row_dim))
    digest = None if counts is None else counts_digest(counts)
    provenance = Provenance(
        command=_build_command(options, scheme, init, counts, tier),
        seed=init.seed,
        counts_xxh3_128=digest,
    )
    table = TablePlan(
        kind="tables" if tier is None else "shards",
        tier=tier,
        created_by=f"engramctl {engramctl.__version__}",
        scheme=scheme.to_dict(),
        provenance=provenance,
        layout=layout,
        num_rows={layer: scheme.num_rows(layer) for layer in scheme.layers},
        table_scales=dict.fromkeys(scheme.layers, init.table_scale(layout.record)),
        shard_rows=shard_rows or default_shard_rows(layout, shard_bytes),
        extent_bytes=extent_bytes,
        identity_extra={"init": init.kind, "std": init.std if init.kind == "normal" else None},
    )
    return BuildPlan(scheme, init, table, options.assumed(scheme))


def read_counts_manifest(counts: Path) -> dict[str, Any]:
    """Return the manifest of a counts folder.

    Raises:
        FormatError: the folder is unfinished or holds no counts.
    """
    manifest = read_manifest(counts)
    if manifest.get("schema") != COUNTS_SCHEMA:
        raise FormatError(
            f"{counts} holds no counts",
            facts={"expected": COUNTS_SCHEMA, "found": ascii(manifest.get("schema"))[:80]},
            hint="make them with: engramctl mine CORPUS -o counts",
        )
    return manifest


def counts_digest(counts: Path) -> str:
    """Return the digest of a counts folder's manifest; raises as `read_counts_manifest`."""
    read_counts_manifest(counts)
    return file_digest(counts / MANIFEST)


def run_build(plan: BuildPlan, out: Path, **run: Any) -> Manifest:
    """Write a planned build; `run` are the options of `write_table`."""
    table = plan.table
    fillers = {layer: RowFiller(plan.init, table.layout.record, layer) for layer in table.num_rows}
    return write_table(
        table,
        out,
        lambda file, row, num_rows, data: fillers[file.layer].fill(
            table.layout, file.part, row, num_rows, data
        ),
        **run,
    )


def row_data_bytes(path: Path) -> int | None:
    """Return the row bytes a manifest speaks of, unchecked, for a progress bar; None: no idea."""
    try:
        layers = read_manifest(path)["layers"]
        return sum(int(shard["data_bytes"]) for layer in layers for shard in layer["shards"])
    except (EngramError, LookupError, TypeError, ValueError):
        return None


def verify_path(path: Path, progress: Callable[[int], None]) -> VerifyReport:
    """Check any finished folder of ours: rows and scheme of a table, or the files of counts.

    Args:
        path: tables, shards or counts.
        progress: told of bytes as they are checked.

    Raises:
        CheckFailed: the first thing that is wrong.
        FormatError: unfinished, or not one of ours.
        StorageError: it cannot be read.
    """
    manifest = read_manifest(path)
    if manifest.get("schema") != COUNTS_SCHEMA:
        report = verify(path, progress=progress)
        check_scheme(open_table(path))
        return report
    lists = [value for key, value in manifest.items() if key != "corpus"]
    entries = [one for value in lists if isinstance(value, list) for one in value]
    listed = [one for one in entries if isinstance(one, dict) and "xxh3_128" in one]
    try:
        return verify_files(path, listed)
    except CheckFailed as error:
        raise CheckFailed(
            error.message, facts=error.facts, hint=f"run: engramctl mine ... -o {path} --force"
        ) from error


def check_scheme(table: TableFiles) -> Lookup:
    """Derive a table's scheme again and compare it with the rows that are there.

    Raises:
        CheckFailed: a derived constant, or rows, layers, row_dim or dtype differ.
    """
    manifest = table.manifest
    place = {"file": table.path / MANIFEST}
    try:
        scheme = lookup_from_dict(dict(manifest.scheme))
    except ConfigError as error:
        raise CheckFailed(error.message, facts={**place, **error.facts}, hint=error.hint) from error
    expected: dict[str, Any] = {
        "rows": {layer: scheme.num_rows(layer) for layer in sorted(scheme.layers)},
        "row_dim": scheme.row_dim,
        "dtype": scheme.dtype,
        "dictionary": None,
    }
    found: dict[str, Any] = {
        "rows": {layer: table.num_rows(layer) for layer in table.layers},
        "row_dim": table.record.row_dim,
        "dtype": table.record.dtype,
        "dictionary": None,
    }
    if manifest.dictionary is not None and isinstance(scheme, Scheme):
        names = ("orders", "heads_per_order", "key_bits")
        expected["dictionary"] = {name: getattr(scheme, name) for name in names}
        found["dictionary"] = {name: getattr(manifest.dictionary, name) for name in names}
    for name, wanted in expected.items():
        if found[name] != wanted:
            raise CheckFailed(
                f"{table.path} does not fit its own scheme: {name} differ",
                facts={**place, "expected": wanted, "found": found[name]},
                hint=rebuild_hint(table.path, manifest),
            )
    return scheme


def _build_command(
    options: SchemeOptions, scheme: Lookup, init: RowInit, counts: Path | None, tier: str | None
) -> tuple[str, ...]:
    """Return the words that make the same rows again, everything said."""
    words: list[object] = ["engramctl", "build", "--scheme", options.scheme or DEFAULT_SCHEME]
    if options.tokenizer is not None:
        words += ["--tokenizer", options.tokenizer]
    if isinstance(scheme, Scheme) and not options.is_file:
        words += ["--slots", scheme.slots[0], "--orders", _comma(scheme.orders)]
        words += ["--heads", scheme.heads_per_order, "--layers", _comma(scheme.layers)]
    words += ["--row-dim", scheme.row_dim, "--dtype", scheme.dtype, "--init", init.kind]
    if init.kind == "normal":
        words += ["--std", init.std, "--seed", init.seed]
    if counts is not None:
        words += ["--counts", counts]
    if tier is not None:
        words += ["--tier", tier]
    return tuple(str(word) for word in words)


def _comma(numbers: Sequence[int]) -> str:
    return ",".join(str(number) for number in numbers)
