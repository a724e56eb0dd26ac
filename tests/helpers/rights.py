"""Root that obeys permissions, so that a folder nobody may enter can be tested as root too."""

import ctypes
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_VERSION = 0x20080522  # of _LINUX_CAPABILITY_VERSION_3
_OVERRIDES = 1 << 1 | 1 << 2  # CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH


@contextmanager
def closed(folder: Path, mode: int = 0) -> Iterator[None]:
    """Give a folder a mode that this thread then has to obey, whoever runs it."""
    before = folder.stat().st_mode
    folder.chmod(mode)
    try:
        with _obeying():
            yield
    finally:
        folder.chmod(before)


@contextmanager
def _obeying() -> Iterator[None]:
    if os.geteuid() != 0:
        yield
        return
    libc = ctypes.CDLL(None, use_errno=True)
    header = (ctypes.c_uint32 * 2)(_VERSION, 0)
    data = (ctypes.c_uint32 * 6)()  # effective, permitted, inheritable; twice

    def call(name: str) -> None:
        if getattr(libc, name)(header, data) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), name)

    call("capget")
    effective = data[0]
    data[0] = effective & ~_OVERRIDES
    call("capset")
    try:
        yield
    finally:
        data[0] = effective
        call("capset")
