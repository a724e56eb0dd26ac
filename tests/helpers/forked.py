"""A job in a child of this process: what it does to signals and what kills it stays there."""

import os
import signal
import traceback
import warnings
from collections.abc import Callable


def in_child(job: Callable[[], bool]) -> int:
    """Fork, run a job, return the exit code: 0 when it said True; -14 when it hung."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking beside threads
        pid = os.fork()
    if pid == 0:
        signal.alarm(30)
        code = 70
        try:
            code = 0 if job() else 3
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
