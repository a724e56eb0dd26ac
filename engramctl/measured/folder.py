"""The folder a run measures, and what is known of it: named, found here, or a temporary table."""

import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

from engramctl.errors import ConfigError, FormatError
from engramctl.hashing import Lookup, lookup_from_dict
from engramctl.output import Output
from engramctl.storage import TableFiles
from engramctl.storage.record.record import RecordSpec
from engramctl.storage.tiers.door import tier_missing
from engramctl.sweep.recipes import table_of
from engramctl.tables.opened_rows import Opened

TEMPORARY_SLOTS = 85_000  # about 1 GiB of V4.1-shaped rows


@contextmanager
def measured_folder(
    named: Path | None, sink: Output, recipe: str | None = None
) -> Iterator[tuple[Path, str | None]]:
    """Give the folder and what was assumed, told in one line; a temporary table is removed.

    Args:
        named: shards or tables; None: ./shards, else ./tables, else a table that is made.
        sink: told what is assumed and how far the making is.
        recipe: whose own table is made, even where there are shards; None: there is none.
    """
    if named is not None:
        yield named, None
        return
    for name in ("shards", "tables") if recipe is None else ():
        if Path(name).is_dir():
            assumed = f"measuring ./{name}"
            sink.note(f"assumed: {assumed}")
            yield Path(name), assumed
            return
    with _temporary_table(sink, recipe) as made:
        yield made


@contextmanager
def _temporary_table(sink: Output, recipe: str | None) -> Iterator[tuple[Path, str]]:
    from engramctl.schemes.options import SchemeOptions
    from engramctl.tables.build import plan_build, run_build

    options = SchemeOptions(slots=TEMPORARY_SLOTS)
    if recipe is not None:
        options = SchemeOptions(**table_of(recipe, on_gpu=tier_missing("gpu") is None))
    with tempfile.TemporaryDirectory(prefix="engramctl-bench-") as folder:
        plan = plan_build(options, tier="ssd")
        why = "no ./shards or ./tables" if recipe is None else "the recipe's own table"
        assumed = (
            f"{why}: a temporary {plan.scheme.name} table of "
            f"{plan.table.row_file_bytes:,} bytes, removed afterwards"
        )
        sink.note(f"assumed: {assumed}")
        sink.announce_compilation()
        path = Path(folder) / "shards"
        with sink.progress("build", plan.table.row_file_bytes, "B") as advance:
            run_build(plan, path, progress=advance)
        yield path, assumed


def folder_facts(path: Path, opened: Opened) -> dict[str, Any]:
    """Return what a result says of the folder that was measured, in its `config`.

    A checkpoint's rows have no checksum: theirs is of where they lie.
    """
    rows, layout, digest = opened.rows, _in_place(opened.rows.record), opened.digest
    if isinstance(rows, TableFiles):
        layout, digest = asdict(rows.layout), rows.manifest.table_xxh3_128
    return {
        "path": str(path),
        "scheme": opened.scheme["name"],
        "layout": layout,
        "num_rows": {str(layer): rows.num_rows(layer) for layer in rows.layers},
        "table_xxh3_128": digest,
    }


def _in_place(record: RecordSpec) -> dict[str, Any]:
    """Return how rows of a checkpoint lie, with the keys of a layout of ours."""
    return {
        "form": "in place", "dtype": record.dtype, "row_dim": record.row_dim,
        "record_bytes": record.record_bytes, "page_bytes": None, "rows_per_page": None,
    }  # fmt: skip


def scheme_of(path: Path, document: Mapping[str, Any]) -> Lookup:
    """Derive the scheme of a table's manifest, or of a checkpoint.

    Raises:
        FormatError: there is no scheme, or one that contradicts itself.
    """
    try:
        return lookup_from_dict(dict(document))
    except ConfigError as error:
        raise FormatError(
            f"the scheme in {path}/manifest.json cannot be used: {error.message}",
            facts=error.facts,
            hint=error.hint or f"run: engramctl verify {path}",
        ) from error
