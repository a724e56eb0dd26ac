"""One io_uring: made with ctypes, without a compiler, and the layout its kernels walk.

Numbers and offsets are those of Linux's include/uapi/linux/io_uring.h.
"""

import contextlib
import ctypes
import mmap
import os
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.errors import StorageError

SETUP, ENTER, REGISTER = 425, 426, 427  # system calls, the same on every machine since Linux 5.1
_REGISTER_FILES = 2
_COOP_TASKRUN = 1 << 8  # completions wait for our next call: no interrupt of other work
_CLAMP = 1 << 4
_SINGLE_MMAP = 1 << 0
_AT_RINGS, _AT_SQES = 0, 0x10000000
_DONTFORK = 10
SQE_BYTES, CQE_BYTES = 64, 16

# The lines of `Ring.places`, int64.
FD, ENTRIES, SQ_HEAD, SQ_TAIL, SQ_MASK, SQ_ARRAY, SQES, CQ_HEAD, CQ_TAIL, CQ_MASK, CQES = range(11)

_libc = ctypes.CDLL(None, use_errno=True)
_inherited: list[Any] = []  # mappings a forked child does not have: freeing one would unmap another


class _SqOffsets(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_uint32)
        for name in (
            "head", "tail", "ring_mask", "ring_entries", "flags", "dropped", "array", "resv1",
        )
    ] + [("user_addr", ctypes.c_uint64)]  # fmt: skip


class _CqOffsets(ctypes.Structure):
    _fields_ = [
        (name, ctypes.c_uint32)
        for name in (
            "head", "tail", "ring_mask", "ring_entries", "overflow", "cqes", "flags", "resv1",
        )
    ] + [("user_addr", ctypes.c_uint64)]  # fmt: skip


class _Params(ctypes.Structure):
    _fields_ = [
        ("sq_entries", ctypes.c_uint32),
        ("cq_entries", ctypes.c_uint32),
        ("flags", ctypes.c_uint32),
        ("sq_thread_cpu", ctypes.c_uint32),
        ("sq_thread_idle", ctypes.c_uint32),
        ("features", ctypes.c_uint32),
        ("wq_fd", ctypes.c_uint32),
        ("resv", ctypes.c_uint32 * 3),
        ("sq_off", _SqOffsets),
        ("cq_off", _CqOffsets),
    ]


class Ring:
    """The two rings of an io_uring, mapped.

    Attributes:
        places: int64 (11,): descriptor, entries, and the addresses and masks named above.
        again_D: int64, one an entry: for whoever walks the ring.
    """

    def __init__(self, entries: int, descriptors: NDArray[np.int32]) -> None:
        """Set up.

        Args:
            entries: most reads under way, a power of two.
            descriptors: files that reads name by number, registered with the ring.

        Raises:
            StorageError: the kernel, or whoever confines this process, refuses; facts say how.
        """
        params = _Params(flags=_COOP_TASKRUN | _CLAMP)
        fd = _libc.syscall(SETUP, entries, ctypes.byref(params))
        if fd < 0:  # before Linux 5.19
            params = _Params(flags=_CLAMP)
            fd = _call("set up", SETUP, entries, ctypes.byref(params))
        self._maps: list[mmap.mmap] = []
        self._pid = os.getpid()
        self._fd = fd
        try:
            if not params.features & _SINGLE_MMAP:
                raise StorageError("io_uring is too old here", facts={"needed": "Linux 5.4"})
            self.places = self._mapped(params)
            self.again_D: NDArray[np.int64] = np.empty(params.sq_entries, np.int64)
            if len(descriptors):
                files = np.ascontiguousarray(descriptors, np.int32)
                _call(
                    "register files with", REGISTER, fd, _REGISTER_FILES,
                    ctypes.c_void_p(files.ctypes.data), len(files),
                )  # fmt: skip
        except BaseException:
            self.close()
            raise

    def _mapped(self, params: Any) -> NDArray[np.int64]:
        sq, cq = params.sq_off, params.cq_off
        rings_bytes = max(sq.array + 4 * params.sq_entries, cq.cqes + CQE_BYTES * params.cq_entries)
        rings = self._map(rings_bytes, _AT_RINGS)
        sqes = self._map(SQE_BYTES * params.sq_entries, _AT_SQES)
        masks = [
            int.from_bytes(self._maps[0][at : at + 4], "little")
            for at in (sq.ring_mask, cq.ring_mask)
        ]
        if masks != [params.sq_entries - 1, params.cq_entries - 1]:
            raise StorageError("io_uring is of an unknown shape here", facts={"masks": masks})
        return np.array(
            [
                self._fd, params.sq_entries, rings + sq.head, rings + sq.tail, masks[0],
                rings + sq.array, sqes, rings + cq.head, rings + cq.tail, masks[1], rings + cq.cqes,
            ],
            np.int64,
        )  # fmt: skip

    def _map(self, num_bytes: int, offset: int) -> int:
        """Map a part of the ring, not to be inherited by forked children; return its address."""
        try:
            mapped = mmap.mmap(self._fd, num_bytes, mmap.MAP_SHARED, offset=offset)
        except OSError as error:  # it takes a descriptor of its own, too
            raise _refused("map", error.errno or 0) from error
        self._maps.append(mapped)
        mapped.madvise(_DONTFORK)
        return ctypes.addressof(ctypes.c_char.from_buffer(mapped))

    def close(self) -> None:
        """End it; the kernel waits for reads under way. In a forked child the parent's goes on."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            with contextlib.suppress(OSError):
                os.close(fd)
        if self._pid != os.getpid():
            _inherited.append(self._maps)
        self._maps = []

    def __del__(self) -> None:
        """End one that nobody ended, as when an interrupt came between borrowing and keeping it."""
        if hasattr(self, "_fd"):
            self.close()


def _call(what: str, number: int, *arguments: Any) -> int:
    result: int = _libc.syscall(number, *arguments)
    if result < 0:
        raise _refused(what, ctypes.get_errno())
    return result


def _refused(what: str, code: int) -> StorageError:
    return StorageError(
        f"the system refused to {what} an io_uring: {os.strerror(code)}",
        facts={"reason": os.strerror(code), "errno": code},
    )
