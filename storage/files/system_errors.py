"""What the machine refused, told as an error of ours: the last resort of the command line."""

import errno
import os

from engramctl.errors import EngramError, StorageError

# What the user's files, names, disks and limits can cause. Others (a bad descriptor, an invalid
# argument) are ours, and so are errors without a number.
_REFUSALS = {
    errno.EACCES, errno.EBUSY, errno.ECONNREFUSED, errno.ECONNRESET, errno.EDQUOT, errno.EEXIST,
    errno.EFBIG, errno.EHOSTUNREACH, errno.EIO, errno.EISDIR, errno.ELOOP, errno.EMFILE,
    errno.ENAMETOOLONG, errno.ENETUNREACH, errno.ENFILE, errno.ENODEV, errno.ENOENT, errno.ENOMEM,
    errno.ENOSPC, errno.ENOTCONN, errno.ENOTDIR, errno.ENXIO, errno.EPERM, errno.EROFS,
    errno.ESTALE, errno.ETIMEDOUT, errno.ETXTBSY,
}  # fmt: skip


SystemRefusal = OSError | MemoryError | UnicodeEncodeError | RuntimeError
_NO_MEMORY = ("can't allocate memory", "out of memory")  # torch's words, of RuntimeErrors


def from_system(error: SystemRefusal) -> EngramError | None:
    """Return the error for what the machine refused; None: it is rather a bug of ours.

    Args:
        error: what reached the command line, because no one nearer to it knew better.
    """
    if isinstance(error, RuntimeError) and not any(one in str(error) for one in _NO_MEMORY):
        return None
    if isinstance(error, MemoryError | RuntimeError):
        return EngramError(
            "there is not enough memory for this",
            facts={"reason": str(error)[:300]} if str(error) else None,
            hint="end other programs, or name a smaller input",
        )
    if isinstance(error, UnicodeEncodeError):
        name = error.object
        if not any("\ud800" <= one <= "\udfff" for one in name[error.start : error.end]):
            return None
        return EngramError(f"a name or text is not valid UTF-8: {name:.200}", hint="rename it")
    if error.errno not in _REFUSALS:
        return None
    if error.filename is None:
        if error.errno == errno.ENOENT and _folder_is_gone():
            return StorageError(
                "the working folder does not exist any more", hint="change to another: cd"
            )
        return StorageError(f"the system refused: {error.strerror}")
    from pathlib import Path

    from engramctl.storage.files.atomic import storage_error

    return storage_error(error, "use", Path(os.fsdecode(error.filename)))


def _folder_is_gone() -> bool:
    try:
        os.getcwd()
    except FileNotFoundError:
        return True
    return False
