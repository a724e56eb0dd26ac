"""What `build` and `layout` print: the same document for a plan and for its result."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engramctl.output import Output, Table

if TYPE_CHECKING:
    from engramctl.storage.writing.plan import TablePlan


def _readable(error: Mapping[str, Any]) -> dict[str, Any]:
    """Return an error's row as people read it."""
    names = {"layer": "layer", "head": "head", "max_abs": "max abs error", "rms": "RMS error"}
    shown = {title: "all" if error[name] is None else error[name] for name, title in names.items()}
    for title in ("max abs error", "RMS error"):
        shown[title] = f"{shown[title]:.3g}"
    cosine = error["cosine"]
    return {**shown, "cosine": "-" if cosine is None else f"{cosine:.6f}"}


@contextmanager
def resumable(sink: Output, out: Path) -> Iterator[None]:
    """Say how to go on when a signal ends the work inside."""
    from engramctl.storage.files.published import partial_path

    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        if partial_path(out).is_dir():
            sink.note(f"kept in {partial_path(out)}: run the same command with --resume to go on")
        raise


def show_written(
    sink: Output,
    plan: "TablePlan",
    out: Path,
    *,
    dry_run: bool,
    errors: Sequence[Mapping[str, Any]] = (),
    ngrams: Mapping[int, int] | None = None,
) -> None:
    """Print what was written, or with `dry_run` what would be, exact to the byte.

    `errors` is what converting to another dtype lost, an entry a layer and head; `ngrams` how many
    n-grams of each order the dictionary holds.
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
    if errors:
        document["conversion"] = list(errors)
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
    title = "would be written" if dry_run else "written"
    tables = [Table(title, layers)]
    if errors:
        tables.append(Table(f"lost by storing {layout.dtype}", [_readable(one) for one in errors]))
    if plan.dictionary is not None:
        facts = plan.dictionary.facts
        document["dictionary"] = {**facts, "by_order": ngrams}
        shown = {name.replace("_", " "): value for name, value in facts.items()}
        shown |= {f"order {order}": count for order, count in (ngrams or {}).items()}
        tables.append(Table("n-gram dictionary", [shown]))
    if dry_run:
        tables.append(Table("files", [{"file": n, "bytes": b} for n, b in plan.sizes.items()]))
    sink.result(document, tables)
    total = sum(plan.sizes.values())
    if dry_run:
        sink.note(f"would write {total:,} bytes to {out}, manifest included")
    else:
        next_step = f"engramctl {'layout' if plan.kind == 'tables' else 'verify'} {out}"
        next_step += " --tier ssd -o shards" if plan.kind == "tables" else ""
        sink.note(f"wrote {total:,} bytes to {out}; next: {next_step}")
