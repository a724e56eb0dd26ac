"""Arrays inside scheme.json: zlib, then base64."""

import base64
import zlib

from engramctl.errors import ConfigError


def pack(data: bytes, level: int = 9) -> str:
    """Return bytes as text for JSON; `level` is zlib's, 1 (fast) to 9 (small)."""
    return base64.b64encode(zlib.compress(data, level)).decode()


def unpack(text: str, size: int, what: str) -> bytes:
    """Return the bytes that `pack` took; never more than `size` and one are made.

    Args:
        text: what `pack` gave.
        size: bytes there must be.
        what: what to call it in errors.

    Raises:
        ConfigError: it cannot be unpacked, or not to `size` bytes.

    Example:
        >>> unpack(pack(b"rows"), 4, "the list")
        b'rows'
    """
    try:
        data = zlib.decompressobj().decompress(base64.b64decode(text), size + 1)
    except (ValueError, zlib.error) as error:
        raise ConfigError(f"{what} cannot be unpacked: {error}") from error
    if len(data) != size:
        found = f"{len(data):,} bytes" + (" or more" if len(data) > size else "")
        raise ConfigError(
            f"{what} has another size than it says",
            facts={"expected": f"{size:,} bytes", "found": found},
        )
    return data
