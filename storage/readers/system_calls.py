"""The system calls that reading kernels make, by their names in libc, and how they failed."""

import errno
from typing import Any

import numpy as np
from numba import carray, types

from engramctl.runtime.kernel_cache import njit
from engramctl.storage.record.intrinsics import as_pointer

EINTR, EAGAIN = errno.EINTR, errno.EAGAIN
pread = types.ExternalFunction("pread", types.intp(types.int32, types.intp, types.intp, types.intp))
posix_fadvise = types.ExternalFunction(
    "posix_fadvise", types.int32(types.int32, types.intp, types.intp, types.int32)
)
syscall = types.ExternalFunction("syscall", types.intp(*(types.intp,) * 7))
_errno_location = types.ExternalFunction("__errno_location", types.intp())


@njit(inline="always")
def last_error() -> Any:
    """Return the number of this thread's last error."""
    return np.int64(carray(as_pointer(_errno_location()), (1,), np.int32)[0])
