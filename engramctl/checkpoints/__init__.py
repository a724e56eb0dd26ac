"""A model's own files: its tables read in place, and its scheme.

`open_checkpoint` opens the tables of a model's folder, GGUF file or raw shards where they lie,
`is_checkpoint` tells whether a path is one, `read_scheme` reads the scheme of any path that has
one, `open_store` serves the rows of any of them. Names are imported when they are first used.
"""

from typing import TYPE_CHECKING

from engramctl.errors import EngramError
from engramctl.runtime.lazy_names import lazy_names

if TYPE_CHECKING:
    from engramctl.checkpoints.opening import Checkpoint, is_checkpoint, open_checkpoint
    from engramctl.checkpoints.scheme_by_path import read_scheme
    from engramctl.checkpoints.store import open_store
else:
    __getattr__, __dir__ = lazy_names(
        __name__,
        {
            "opening": ("Checkpoint", "is_checkpoint", "open_checkpoint"),
            "scheme_by_path": ("read_scheme",),
            "store": ("open_store",),
        },
    )

__all__ = [
    "Checkpoint",
    "EngramError",
    "is_checkpoint",
    "open_checkpoint",
    "open_store",
    "read_scheme",
]
