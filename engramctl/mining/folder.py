"""The files of a counts folder, by their names."""

from collections.abc import Mapping
from typing import Any

from engramctl.storage.writing.ownership import Maker

_FILES = (
    r"order\d+\.parquet|access\.layer\d+\.parquet|curves\.parquet|summary\.json"
    r"|[a-z0-9._-]+\.(spill|raw)"
)


def counts_maker(*, resumable: bool = True) -> Maker:
    """Return the command that writes counts; every file it makes has a name that this knows."""
    return Maker("mine", _FILES, resumable=resumable)


def counts_files(manifest: Mapping[str, Any]) -> list[str]:
    """Return the names of all files beside a counts folder's manifest."""
    return ["summary.json", *(one["file"] for one in manifest["orders"] + manifest["statistics"])]
