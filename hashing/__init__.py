"""Which rows do these tokens read: n-gram schemes, exact and fast. Knows no files.

A scheme is data plus one walk: canonical ids, a window that stops at boundaries, a mix of the
window, one modulus a head. See `Scheme` and `make_scheme`.
"""

from engramctl.hashing.history import History
from engramctl.hashing.presets import PRESETS, make_scheme
from engramctl.hashing.scheme import Scheme
from engramctl.hashing.token_map import build_token_map
from engramctl.hashing.window import DEAD, START

__all__ = ["DEAD", "PRESETS", "START", "History", "Scheme", "build_token_map", "make_scheme"]
