"""Who called us: warnings point there, not at our own lines."""

import sys


def outside() -> int:
    """Return the `stacklevel` with which a warning of our caller names the user's own line."""
    level, frame = 1, sys._getframe(1)
    while frame.f_back is not None and frame.f_globals.get("__name__", "").split(".")[0] == _OURS:
        level, frame = level + 1, frame.f_back
    return level


_OURS = __name__.split(".")[0]
