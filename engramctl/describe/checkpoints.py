"""What `inspect` says about a model's checkpoint, and about any scheme."""

from pathlib import Path
from typing import Any

from engramctl.checkpoints.opening import Checkpoint, open_checkpoint
from engramctl.hashing import DictionaryScheme, Lookup
from engramctl.storage.format.geometry import Layout
from engramctl.storage.record.record import RecordSpec

IN_PLACE = "ssd, in place"


def describe_checkpoint(path: Path) -> dict[str, Any]:
    """Return a JSON document: family, scheme, tables, records, and what each tier would cost.

    Raises:
        FormatError: no tables of a known family, or what is wrong with them.
        ConfigError: config.json and the tensors do not fit each other.
        StorageError: a file cannot be read.
    """
    checkpoint = open_checkpoint(path)
    rows, record, scheme = checkpoint.rows, checkpoint.rows.record, checkpoint.scheme
    layers: list[dict[str, Any]] = []
    for n in rows.layers:
        regions = rows.regions(n)
        layers.append(
            {
                "layer": n,
                "num_rows": rows.num_rows(n),
                "tensors": len(regions),
                "files": len({region.path for region in regions}),
                "bytes": sum(region.num_bytes for region in regions),
                "table_scale": rows.table_scale(n),
            }
        )
    parts = len({region.column for region in rows.regions(rows.layers[0])})
    reads = None if scheme is None else scheme.num_heads * len(scheme.layers)
    return {
        "path": str(path),
        "kind": "checkpoint",
        "family": checkpoint.family,
        **({"scheme": _no_scheme(checkpoint)} if scheme is None else scheme_facts(scheme)),
        "dtype": record.dtype,
        "row_dim": record.row_dim,
        "scale_rule": _scale_rule(record),
        **({} if rows.packing is None else {"stored_as": rows.packing.name}),
        "record_bytes": record.record_bytes,
        "bytes_per_token": None if reads is None else reads * record.record_bytes,
        "reads_per_token": None if reads is None else reads * parts,
        "reads_per_row": parts,
        "total_bytes": sum(layer["bytes"] for layer in layers),
        "notes": list(checkpoint.notes),
        "layers": layers,
        "tiers": [
            tier
            for tier in _tiers(record, [layer["num_rows"] for layer in layers], reads, parts)
            if rows.packing is None or tier["tier"] != IN_PLACE
        ],
    }


def _no_scheme(checkpoint: Checkpoint) -> str:
    reason = checkpoint.no_scheme
    return "not in its files" if reason is None else f"not clear from its files: {reason}"


def _tiers(
    record: RecordSpec, num_rows: list[int], reads: int | None, parts: int
) -> list[dict[str, Any]]:
    """Return memory, disk and device reads of each tier; None where the scheme is not known."""
    packed = sum(num_rows) * record.record_bytes
    paged = sum(Layout.of("paged", record).data_bytes("records", rows) for rows in num_rows)
    cold = {"ssd": 1, IN_PLACE: parts}
    return [
        {
            "tier": tier,
            "memory_bytes": 0 if tier in cold else packed,
            "disk_bytes": {"ssd": paged, IN_PLACE: packed}.get(tier, 0),
            "cold_reads_per_token": None if reads is None else reads * cold.get(tier, 0),
        }
        for tier in ("gpu", "host", "ssd", IN_PLACE)
    ]


def _scale_rule(record: RecordSpec) -> str:
    facts = record.facts
    rules = []
    if facts.scale_tensor and facts.block_scale_bytes:
        rules.append(f"{facts.scale_tensor} for {facts.block_values} values")
    if facts.row_scale_bytes:
        rules.append(f"{facts.scale_tensor} for a row")
    if facts.table_scale:
        rules.append("F32 for the table")
    if not rules and facts.block_values > 1:
        rules.append(f"F16 among each {facts.block_values} values")
    return ", ".join(rules) or "none"


def scheme_facts(scheme: Lookup) -> dict[str, Any]:
    """Return what a scheme reads for a token, for `inspect`."""
    size: dict[str, Any] = {}
    ngrams: dict[str, Any] = {}
    if isinstance(scheme, DictionaryScheme):
        facts = scheme.ngrams.facts(scheme.orders)
        counts = zip(scheme.orders, facts["per_order"], strict=True)
        size = {"num_ngrams": facts["num_ngrams"], "sha256": facts["sha256"]}
        ngrams = {"ngrams": [{"order": order, "ngrams": count} for order, count in counts]}
    else:
        size = {"heads_per_order": scheme.heads_per_order}
    return {
        "scheme": scheme.name,
        "orders": ", ".join(str(order) for order in scheme.orders),
        **size,
        "vocab_size": scheme.vocab_size,
        "ids": _ids(scheme),
        "row_dim": scheme.row_dim,
        "dtype": scheme.dtype,
        "rows_per_token": scheme.num_heads * len(scheme.layers),
        **ngrams,
    }


def _ids(scheme: Lookup) -> str:
    """Say which ids a scheme takes, and what becomes of them first."""
    canonical = scheme.canonical
    return {
        "canonical": "canonical ids; token ids need a token map: --tokenizer",
        "map": f"token ids, mapped to {canonical.num_canonical:,} canonical ids",
        "zeroed": "token ids, special ones read as 0",
        "identity": "token ids",
    }[canonical.kind]
