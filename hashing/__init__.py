"""Which rows do these tokens read: n-gram schemes, exact and fast.

A scheme is data plus one walk: canonical ids, a window that stops at boundaries, a mix of the
window, one modulus a head. See `Scheme` and `make_scheme`; `scheme_from_config` reads a model's
config.json. A dictionary looks the window up exactly instead: `DictionaryScheme`, behind the same
`row_ids`. Nothing here knows files. Names are imported when they are first used.
"""

from typing import TYPE_CHECKING

from engramctl.errors import EngramError
from engramctl.runtime.lazy_names import lazy_names

if TYPE_CHECKING:
    from engramctl.hashing.dictionary.dictionary_scheme import DictionaryScheme
    from engramctl.hashing.dictionary.lookup import Lookup, lookup_from_dict
    from engramctl.hashing.released.configs import scheme_from_config
    from engramctl.hashing.released.presets import PRESETS, make_scheme
    from engramctl.hashing.scheme.device_history import DeviceHistory
    from engramctl.hashing.scheme.history import History
    from engramctl.hashing.scheme.scheme import Scheme
    from engramctl.hashing.walk.token_map import build_token_map
    from engramctl.hashing.walk.window import DEAD, START
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "dictionary.dictionary_scheme": ("DictionaryScheme",),
            "dictionary.lookup": ("Lookup", "lookup_from_dict"),
            "released.configs": ("scheme_from_config",),
            "released.presets": ("PRESETS", "make_scheme"),
            "scheme.device_history": ("DeviceHistory",),
            "scheme.history": ("History",),
            "scheme.scheme": ("Scheme",),
            "walk.token_map": ("build_token_map",),
            "walk.window": ("DEAD", "START"),
        },
    )

__all__ = [
    "DEAD",
    "PRESETS",
    "START",
    "DeviceHistory",
    "DictionaryScheme",
    "EngramError",
    "History",
    "Lookup",
    "Scheme",
    "build_token_map",
    "lookup_from_dict",
    "make_scheme",
    "scheme_from_config",
]
