"""A file or folder for one process at a time."""

import fcntl

from engramctl.errors import StorageError


def lock_alone(descriptor: int, message: str, hint: str) -> None:
    """Keep other processes out until the descriptor is closed, where the file system has locks.

    Args:
        descriptor: of an open file or folder.
        message: of the error.
        hint: of the error.

    Raises:
        StorageError: another process holds the lock.
    """
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        raise StorageError(message, hint=hint) from error
    except OSError:  # the file system has none
        pass
