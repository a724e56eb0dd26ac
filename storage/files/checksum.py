"""Checksums of byte ranges: xxh3-128, as lower-case hex."""

import os
from pathlib import Path

import xxhash

from engramctl.storage.files.atomic import os_errors

_PIECE_BYTES = 512 << 10  # still in the core's cache when it is hashed


def file_digest(path: Path) -> str:
    """Return the xxh3-128 hex digest of a small file, read whole.

    Raises:
        StorageError: it cannot be read.
    """
    with os_errors("read", path):
        return xxhash.xxh3_128_hexdigest(path.read_bytes())


def hash_range(descriptor: int, offset: int, num_bytes: int) -> str | None:
    """Return the xxh3-128 hex digest of a byte range of a file, or None when it is cut short.

    Args:
        descriptor: an open file.
        offset: first byte.
        num_bytes: how many; read in pieces.
    """
    digest = xxhash.xxh3_128()
    buffer = bytearray(min(num_bytes, _PIECE_BYTES))
    view = memoryview(buffer)
    while num_bytes:
        count = os.preadv(descriptor, [view[:num_bytes]], offset)
        if count == 0:
            return None
        digest.update(view[:count])
        offset += count
        num_bytes -= count
    return digest.hexdigest()
