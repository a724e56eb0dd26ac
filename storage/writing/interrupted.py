"""What an interrupted run left must be what its checkpoint says, or it is not gone on with."""

from pathlib import Path

from engramctl.errors import StorageError


def damaged(path: Path, reason: object) -> StorageError:
    """Return the error for a file of an interrupted run that its checkpoint does not describe."""
    return StorageError(
        f"{path.name} is not what the interrupted run left",
        facts={"file": path, "found": reason},
        hint="run again with --force instead of --resume: it starts over",
    )
