"""Where the records of a run go: beside its files, or in a folder that was named."""

import contextlib
import hashlib
import os
import stat
import tempfile
from pathlib import Path

from engramctl.errors import StorageError
from engramctl.mining.options import MineOptions
from engramctl.storage.files.atomic import os_errors
from engramctl.storage.writing.partial_folder import PartialDirectory


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
    """Return the folder of the records: the work's own, or one in `tmp_dir` named after it.

    Raises:
        StorageError: somebody else's folder, or a link, has that name.
    """
    folder = work.path
    if options.tmp_dir is not None:
        name = hashlib.blake2b(os.fsencode(work.path), digest_size=8).hexdigest()
        folder = options.tmp_dir.resolve() / f"engramctl-mine-{name}"
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise StorageError(
                f"{folder} is not ours",
                facts={"expected": "a folder of this user", "found": stat.filemode(found.st_mode)},
                hint="remove it, or name another folder with --tmp-dir",
            )
    if not keep:  # what a run left that was killed before its first checkpoint
        for left in folder.glob("*.spill"):
            left.unlink()
    return folder


def remove_spill_folder(folder: Path, work: PartialDirectory) -> None:
    """Remove a folder that `spill_folder` gave; files that no run makes stay, and so does it."""
    if folder != work.path:
        with contextlib.suppress(OSError):
            for left in (*folder.glob("*.spill"), *folder.glob("*.raw")):
                left.unlink()
            folder.rmdir()
