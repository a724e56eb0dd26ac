"""engramctl: build, lay out and measure hashed n-gram memories.

Importing this package loads nothing heavy. It only makes sure that numba can keep its compiled
kernels somewhere: `cache=True` raises at import when neither the package's own folder nor the
user's cache can be written, so then (and only then) the cache goes to a temporary folder.
"""

import os
from pathlib import Path

__version__ = "0.1.0"
__all__ = ["__version__"]


def _ensure_kernel_cache() -> None:
    if "NUMBA_CACHE_DIR" in os.environ:
        return
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    candidates = (Path(__file__).parent, home if home.exists() else home.parent)
    if not any(os.access(folder, os.W_OK) for folder in candidates):
        import tempfile

        folder = Path(tempfile.gettempdir()) / f"engramctl-numba-{os.getuid()}"
        os.environ["NUMBA_CACHE_DIR"] = str(folder)


_ensure_kernel_cache()
