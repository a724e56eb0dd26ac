"""Whether SIGBUS in our mappings is to become StorageError.

A file that is cut, or a disk that fails, while the file is mapped kills whoever touches the page.
A library does not change how a process takes signals unless it is asked to; a command line does.
This module is light, so that a command line can ask before it knows what will be opened.
"""

import contextlib

from engramctl.errors import StorageError

_asked: list[bool] = []


def catch_when_mapped() -> None:
    """Have the first store that maps files call `catch_bus_errors`."""
    _asked.append(True)


def catch_if_asked() -> None:
    """Call `catch_bus_errors` if `catch_when_mapped` was called; go on without where it fails."""
    if _asked:
        _asked.clear()
        with contextlib.suppress(StorageError):
            catch_bus_errors()


def catch_bus_errors() -> None:
    """Make SIGBUS in files mapped by the ssd tier a StorageError of the gather it happened in.

    Sets a signal handler for the process, for all threads and for children forked from now on.
    Stores opened before are covered, too; of the files mapped at one time, the first 4,096. SIGBUS
    elsewhere goes to the handler that was there before: enable `faulthandler` first. Calling it
    again does nothing.

    Raises:
        StorageError: not on this kind of machine, or someone else's handler was set after ours.
    """
    from engramctl.storage.io.bus_handler import install

    install()
