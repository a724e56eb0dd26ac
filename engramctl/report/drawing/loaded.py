"""matplotlib, loaded where a figure is drawn, with our style and no one else's."""

import contextlib
import logging
import warnings
from collections.abc import Iterator
from typing import Any

from engramctl.errors import ConfigError
from engramctl.report.drawing.style import RC


def has_matplotlib() -> bool:
    """Tell whether figures can be drawn here."""
    try:
        import matplotlib
    except ImportError:
        return False
    return bool(matplotlib.__version__)


@contextlib.contextmanager
def matplotlib_ready(salt: str) -> Iterator[None]:
    """Load matplotlib, and give it our style; it stays silent.

    Args:
        salt: decides the ids within an SVG.

    Raises:
        ConfigError: it is not installed.
    """
    try:
        import matplotlib
    except ImportError as error:
        raise ConfigError(
            "figures need matplotlib, which is not installed",
            facts={"found": error},
            hint="run: pip install 'engramctl[report]', or take --format md, which needs none",
        ) from error
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    with matplotlib.rc_context(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a glyph that the font lacks is drawn as a box
        matplotlib.rcdefaults()
        wanted: dict[Any, Any] = {**RC, "svg.hashsalt": salt}
        matplotlib.rcParams.update(wanted)
        yield
