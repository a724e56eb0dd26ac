"""Is there room for it? Asked before the first byte is written."""

import os
from pathlib import Path

from engramctl.errors import StorageError
from engramctl.memory import available_bytes, is_in_memory
from engramctl.storage.files.atomic import os_errors

_HINT = "free space, name a folder on another disk, or ask for fewer slots"


def check_space(
    needed_bytes: int, target: Path, *, reuse: Path | None = None, hint: str = _HINT
) -> None:
    """Refuse a write that the disk has no room for.

    The files of a tmpfs are memory: there must be room for them in that too, and in a container
    the one who passes its limit is killed without a word.

    Args:
        needed_bytes: what will be written.
        target: the folder to be; the disk is that of the nearest folder that exists.
        reuse: a folder whose files count as already written.
        hint: what to do about it.

    Raises:
        StorageError: too little space, with expected and found.
    """
    with os_errors("write", target):
        folder = Path(os.path.realpath(target))
        while not folder.exists() and folder != folder.parent:
            folder = folder.parent
        facts = os.statvfs(folder)
        there = 0
        if reuse is not None and reuse.is_dir():
            there = sum(entry.stat().st_size for entry in os.scandir(reuse) if entry.is_file())
        in_memory = is_in_memory(folder)
    free_bytes = facts.f_bavail * facts.f_frsize
    if in_memory:
        free_bytes = min(free_bytes, available_bytes())
    if needed_bytes - there > free_bytes:
        raise StorageError(
            f"not enough space for {target}" + (f": {folder} is memory" if in_memory else ""),
            facts={
                "expected": f"{needed_bytes - there:,} bytes free",
                "found": f"{free_bytes:,} bytes free",
            },
            hint=hint,
        )
