"""What people and programs are shown of tables: built, laid out again, exported, verified."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engramctl.output import Table
from engramctl.storage.reading.source import CheckpointTables

if TYPE_CHECKING:
    from engramctl.storage.verifying.integrity import VerifyReport
    from engramctl.storage.writing.plan import TablePlan
    from engramctl.tables.compare import AgainstReport
    from engramctl.tables.export import ExportPlan
    from engramctl.tables.opened_rows import Opened


def written_document(
    plan: "TablePlan",
    out: Path,
    *,
    dry_run: bool,
    losses: Sequence[Mapping[str, Any]] = (),
    ngrams: Mapping[int, int] | None = None,
    made: Mapping[str, Mapping[str, Any]] | None = None,
) -> dict[str, Any]:
    """Return what was written, or with `dry_run` what would be, exact to the byte.

    Args:
        plan: of the table.
        out: the folder.
        dry_run: whether nothing was written.
        losses: what converting to another dtype lost, an entry a layer and head.
        ngrams: how many n-grams of each order the dictionary holds.
        made: what rows were made of; see `made_rows`.
    """
    layout = plan.layout
    document: dict[str, Any] = {
        "path": str(out),
        "dry_run": dry_run,
        "kind": plan.kind,
        "tier": plan.tier,
        "scheme": plan.scheme.get("name"),
        "form": layout.form,
        "dtype": layout.dtype,
        "row_dim": layout.row_dim,
        "record_bytes": layout.record_bytes,
        "layers": [
            {"layer": layer, "num_rows": rows} for layer, rows in sorted(plan.num_rows.items())
        ],
        "files": [{"file": name, "bytes": size} for name, size in plan.sizes.items()],
        "total_bytes": sum(plan.sizes.values()),
    }
    document |= made or {}
    if losses:
        document["conversion"] = list(losses)
    if plan.dictionary is not None:
        document["dictionary"] = {**plan.dictionary.facts, "by_order": ngrams}
    return document


def written_tables(
    plan: "TablePlan", document: Mapping[str, Any], *, each_head: bool = False
) -> list[Table]:
    """Return the tables that show a plan's `written_document`; every file only of a dry run.

    Args:
        plan: of the table.
        document: the document.
        each_head: show what each head lost, not the worst of a layer.
    """
    layout = plan.layout
    layers = [
        {
            "layer": layer,
            "rows": rows,
            "dtype": layout.dtype,
            "record bytes": layout.record_bytes,
            "form": layout.form,
            "files": len([file for file in plan.files if file.layer == layer]),
            "bytes": sum(file.file_bytes for file in plan.files if file.layer == layer),
        }
        for layer, rows in sorted(plan.num_rows.items())
    ]
    tables = [
        Table(_title(document), layers, "record: one row as it is stored, its scales included")
    ]
    tables += _made_tables(document)
    if "conversion" in document:
        tables.append(_loss_table(document["conversion"], layout.dtype, each_head))
    if "dictionary" in document:
        facts = dict(document["dictionary"])
        ngrams = facts.pop("by_order") or {}
        shown = {name.replace("_", " "): value for name, value in facts.items()}
        shown |= {f"order {order}": count for order, count in ngrams.items()}
        tables.append(Table("n-gram dictionary", [shown]))
    if document["dry_run"]:
        tables.append(Table("files", document["files"]))
    return tables


def written_note(document: Mapping[str, Any]) -> str:
    """Say how much was written, and what to do next; of a dry run how much would be."""
    path, total, kind = document["path"], document["total_bytes"], document["kind"]
    if document["dry_run"]:
        return f"would write {total:,} bytes to {path}, manifest included"
    next_step = f"engramctl {'layout' if kind == 'tables' else 'verify'} {path}"
    next_step += " --tier ssd -o shards" if kind == "tables" else ""
    return f"wrote {total:,} bytes to {path}; next: {next_step}"


def size_note(document: Mapping[str, Any]) -> str:
    """Say which slots were chosen for a size, and what they take exactly."""
    total, most = document["total_bytes"], document["size_bytes"]
    return (
        f"chosen: {document['slots']:,} slots a head, {total:,} bytes in all: the most that fit "
        f"{most:,} bytes"
    )


@contextmanager
def resumable(out: Path, note: Callable[[str], None]) -> Iterator[None]:
    """Say how to go on when a signal ends the writing of `out` inside."""
    from engramctl.storage.files.published import partial_path

    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        if partial_path(out).is_dir():
            note(f"kept in {partial_path(out)}: run the same command with --resume to go on")
        raise


def canonical_note(opened: "Opened", source: Path, out: Path) -> str | None:
    """Say that what is laid out of `source` will take canonical ids; None: it takes token ids."""
    if not opened.takes_canonical:
        return None
    return (
        f"{source} has no token map: {out} will take canonical ids, and not token ids; "
        "--tokenizer tokenizer.json names the model's"
    )


def widened_note(opened: "Opened", dtype: str | None) -> str | None:
    """Say that rows grow as they are laid out; None: they keep their bytes, or `dtype` is asked."""
    rows = opened.rows
    packing = rows.packing if isinstance(rows, CheckpointTables) else None
    if packing is None or dtype is not None:
        return None
    return (
        f"rows of {packing.name} are widened to f32: {rows.record.record_bytes:,} bytes a row for "
        f"{packing.row_bytes:,}; --dtype bf16 or another makes them smaller"
    )


def exported_document(plan: "ExportPlan", out: Path, *, dry_run: bool) -> dict[str, Any]:
    """Return what was exported, or with `dry_run` what would be, exact to the byte."""
    return {
        "path": str(out),
        "dry_run": dry_run,
        "family": plan.family,
        "files": [
            {"file": file.name, "tensors": len(file.pieces), "bytes": file.num_bytes}
            for file in plan.files
        ],
        "total_bytes": plan.total_bytes,
    }


def exported_tables(document: Mapping[str, Any]) -> list[Table]:
    """Return the files of an `exported_document`."""
    return [Table(_title(document), document["files"])]


def exported_note(document: Mapping[str, Any]) -> str:
    """Say how much was exported, and what to do next."""
    path, total = document["path"], document["total_bytes"]
    return f"wrote {total:,} bytes to {path}; next: engramctl inspect {path}"


def verified_document(path: Path, report: "VerifyReport") -> dict[str, Any]:
    """Return what was checked of a folder and found right."""
    return {
        "path": str(path),
        "ok": True,
        "files": report.num_files,
        "checksums": report.num_extents,
        "data_bytes": report.num_bytes,
    }


def compared_facts(source: Path, report: "AgainstReport") -> dict[str, Any]:
    """Return what comparing with a source adds to a `verified_document`."""
    return {
        "against": str(source),
        "rows_compared": report.rows,
        "sampled": report.sampled,
    }


def verified_tables(document: Mapping[str, Any]) -> list[Table]:
    """Return the table that shows a `verified_document`."""
    facts = {name: value for name, value in document.items() if name != "ok"}
    return [Table("every byte is right", [facts])]


def _title(document: Mapping[str, Any]) -> str:
    return "would be written" if document["dry_run"] else "written"


def _made_tables(document: Mapping[str, Any]) -> list[Table]:
    """Say which tensors were read, and how many rows they decided."""
    tables = []
    if "token_mean" in document:
        facts = document["token_mean"]
        folded = facts["folded_to"]
        words = f"{facts['token_ids']:,} token ids, {facts['canonical_ids']:,} canonical ids; "
        words += facts["canonical_id_embedding"]
        words += "" if folded is None else f"; folded to the {folded:,} values of a row"
        tables.append(Table("token embeddings", [_tensor(facts)], words))
        rows = [
            {
                "layer": layer["layer"],
                "composed rows": layer["composed_rows"],
                "composed %": layer["composed_percent"],
                "left normal": layer["normal_rows"],
                "normal %": layer["normal_percent"],
            }
            for layer in facts.get("layers", ())
        ]
        orders = ", ".join(map(str, facts["orders"]))
        caption = f"composed: the mean of its n-grams, of orders {orders}; normal: none lands there"
        tables.append(Table("rows", rows, caption))
    if "import" in document:
        tensors = [{"layer": one["layer"], **_tensor(one)} for one in document["import"]["tensors"]]
        tables.append(Table("tensors imported", tensors))
    return tables


def _tensor(facts: Mapping[str, Any]) -> dict[str, object]:
    return {
        "tensor": facts["tensor"],
        "file": facts["file"],
        "shape": " x ".join(f"{size:,}" for size in facts["shape"]),
        "dtype": facts["dtype"],
    }


def _loss_table(losses: Sequence[Mapping[str, Any]], dtype: str, each_head: bool) -> Table:
    """Show what was lost: a line a layer, that of its worst head, or a line a head."""
    title = f"lost by storing {dtype}"
    if each_head or all(one["head"] is None for one in losses):
        return Table(title, [_readable(one) for one in losses])
    worst: dict[Any, Mapping[str, Any]] = {}
    for one in losses:
        if one["layer"] not in worst or one["rms"] > worst[one["layer"]]["rms"]:
            worst[one["layer"]] = one
    rows = [_readable(one, "worst head") for one in worst.values()]
    caption = "worst head: the one of the layer with the largest RMS error, and its numbers; "
    return Table(title, rows, f"{caption}every head: --each-head")


def _readable(loss: Mapping[str, Any], head: str = "head") -> dict[str, Any]:
    """Return what one layer and head lost, as people read it."""
    names = {"layer": "layer", head: "head", "max abs error": "max_abs", "RMS error": "rms"}
    shown = {title: "all" if loss[name] is None else loss[name] for title, name in names.items()}
    for title in ("max abs error", "RMS error"):
        shown[title] = f"{shown[title]:.3g}"
    cosine = loss["cosine"]
    return {**shown, "cosine": "-" if cosine is None else f"{cosine:.6f}"}
