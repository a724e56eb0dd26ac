"""Addresses of our own, reserved; the system gives a page when it is first written to."""

import mmap

from engramctl.errors import StorageError

_PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS


def reserved(num_bytes: int, wanted_for: str, hint: str, *, ahead: int = 0) -> mmap.mmap:
    """Return a mapping that no file is behind and that children get copies of.

    Args:
        num_bytes: that are asked for, as an error says.
        wanted_for: what is to lie there, for the error.
        hint: for who meets the error.
        ahead: bytes mapped before these.

    Raises:
        StorageError: the system does not give so many.
    """
    try:
        return mmap.mmap(-1, ahead + num_bytes, _PRIVATE)
    except (OSError, OverflowError, ValueError) as error:
        raise StorageError(
            f"the system gives no memory for {wanted_for}",
            facts={"asked for": f"{num_bytes:,} bytes", "reason": error},
            hint=hint,
        ) from error
