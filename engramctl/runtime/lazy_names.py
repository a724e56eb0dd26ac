"""Public names that are imported when they are first asked for."""

import sys
from collections.abc import Callable, Mapping
from importlib import import_module


def lazy_names(
    package: str, homes: Mapping[str, tuple[str, ...]]
) -> tuple[Callable[[str], object], Callable[[], list[str]]]:
    """Return a package's `__getattr__` and `__dir__` (PEP 562).

    So `import engramctl.storage` loads no torch, and a name is found once: it then stands in the
    package like any other.

    Args:
        package: its `__name__`.
        homes: the names that each module gives, by the module's name behind the package's.
    """
    found = {name: f"{package}.{home}" for home, names in homes.items() for name in names}

    def get(name: str) -> object:
        if name not in found:
            raise AttributeError(f"module '{package}' has no attribute '{name}'")
        value: object = getattr(import_module(found[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return get, lambda: sorted({*vars(sys.modules[package]), *found})
