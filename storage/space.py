"""Is there room for it? Asked before the first byte is written."""

import os
from pathlib import Path

from engramctl.errors import StorageError
from engramctl.storage.atomic import os_errors


def check_space(needed_bytes: int, target: Path, *, reuse: Path | None = None) -> None:
    """Refuse a write that the disk has no room for.

    Args:
        needed_bytes: what will be written.
        target: the folder to be; the disk is that of the nearest folder that exists.
        reuse: a folder whose files count as already written.

    Raises:
        StorageError: too little space, with expected and found.
    """
    with os_errors("write", target):
        folder = target.resolve()
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        facts = os.statvfs(folder)
        there = 0
        if reuse is not None and reuse.is_dir():
            there = sum(entry.stat().st_size for entry in os.scandir(reuse) if entry.is_file())
    free_bytes = facts.f_bavail * facts.f_frsize
    if needed_bytes - there > free_bytes:
        raise StorageError(
            f"not enough space for {target}",
            facts={
                "expected": f"{needed_bytes - there:,} bytes free",
                "found": f"{free_bytes:,} bytes free",
            },
            hint="free space, name a folder on another disk, or ask for fewer slots",
        )
