"""Where the records of a run go: beside its files, or in a folder that was named."""

import hashlib
import tempfile
from pathlib import Path

from engramctl.mining.options import MineOptions
from engramctl.storage.atomic import os_errors
from engramctl.storage.publish import PartialDirectory


def try_folder(folder: Path | None) -> None:
    """Write to a folder once, so that one that cannot be used is known before the corpus is read.

    Raises:
        StorageError: it cannot be made or written to.
    """
    if folder is not None:
        with os_errors("write", folder):
            folder.mkdir(parents=True, exist_ok=True)
            tempfile.TemporaryFile(dir=folder).close()


def spill_folder(work: PartialDirectory, options: MineOptions, *, keep: bool) -> Path:
    """Return the folder of the records: the work's own, or one in `tmp_dir` named after it."""
    folder = work.path
    if options.tmp_dir is not None:
        name = hashlib.blake2b(str(work.path).encode(), digest_size=8).hexdigest()
        folder = options.tmp_dir.resolve() / f"engramctl-mine-{name}"
        folder.mkdir(parents=True, exist_ok=True)
    if not keep:  # what a run left that was killed before its first checkpoint
        for left in (*work.path.glob("*.parquet"), *folder.glob("*.spill")):
            left.unlink()
    return folder
