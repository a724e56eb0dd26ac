"""What `build` and `layout` print: the same document for a plan and for its result."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from engramctl.output import Output, Table

if TYPE_CHECKING:
    from engramctl.storage.plan import TablePlan


@contextmanager
def resumable(sink: Output, out: Path) -> Iterator[None]:
    """Say how to go on when a signal ends the work inside."""
    from engramctl.storage.publish import partial_path

    try:
        yield
    except (KeyboardInterrupt, SystemExit):
        if partial_path(out).is_dir():
            sink.note(f"kept in {partial_path(out)}: run the same command with --resume to go on")
        raise


def show_written(sink: Output, plan: "TablePlan", out: Path, *, dry_run: bool) -> None:
    """Print what was written, or with `dry_run` what would be, exact to the byte."""
    layout = plan.layout
    document = {
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
