"""Small tables for tests, made through the code the commands use."""

import json
from pathlib import Path

from engramctl.hashing import Lookup
from engramctl.schemes.options import SchemeOptions
from engramctl.storage.reading.table import TableFiles, open_table
from engramctl.tables.build import plan_build, run_build
from engramctl.tables.initial_rows import InitOptions

SMALL_BUILD = ("--slots", "50", "--heads", "2", "--row-dim", "32")  # of `build`: 9,600 rows or so


def small_table(
    folder: Path,
    *,
    dtype: str = "f8_e4m3",
    tier: str | None = None,
    row_dim: int = 32,
    slots: int = 101,
    shard_rows: int | None = None,
    scheme: str = "deepseek-v41",
) -> TableFiles:
    """A finished table of a few hundred rows a layer, open."""
    options = SchemeOptions(scheme=scheme, slots=slots, row_dim=row_dim, dtype=dtype, heads=2)
    plan = plan_build(options, init=InitOptions(std=1.0), tier=tier, shard_rows=shard_rows)
    run_build(plan, folder)
    return open_table(folder)


def built_table(
    folder: Path,
    scheme: Lookup,
    *,
    dtype: str = "f32",
    tier: str | None = "ssd",
    row_dim: int = 32,
) -> Path:
    """The folder of a finished table of any scheme, its scheme.json beside it."""
    file = folder.with_name(f"{folder.name}.scheme.json")
    file.write_text(json.dumps(scheme.to_dict()))
    options = SchemeOptions(scheme=str(file), row_dim=row_dim, dtype=dtype)
    run_build(plan_build(options, init=InitOptions(std=1.0), tier=tier), folder)
    return folder
