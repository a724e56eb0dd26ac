"""What a report is made of: counts folders and results, each with a name that is its own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engramctl.describe.folders import describe
from engramctl.errors import ConfigError, FormatError
from engramctl.results.file import result_of


@dataclass(frozen=True)
class Sources:
    """Documents by name, in the order they were given; `paths` has the files of all of them."""

    results: Mapping[str, Mapping[str, Any]]
    counts: Mapping[str, Mapping[str, Any]]
    paths: Mapping[str, Path]


def read_sources(paths: Sequence[Path]) -> Sources:
    """Read results of `bench` and folders of `mine`.

    Raises:
        ConfigError: the same file twice.
        FormatError: one is neither, or not as its command writes it.
        StorageError: one is not there or cannot be read.
    """
    results: dict[str, Mapping[str, Any]] = {}
    counts: dict[str, Mapping[str, Any]] = {}
    named: dict[str, Path] = {}
    for name, path in zip(_names(paths), paths, strict=True):
        named[name] = path
        result = result_of(path) if path.is_file() else None
        if result is not None:
            results[name] = result
            continue
        document = describe(path)
        if document["kind"] != "counts" or not isinstance(document.get("orders"), list):
            raise FormatError(
                f"{path} is neither a result of bench nor counts",
                facts={"expected": "a file of bench -o, or a folder of mine", "found":
                       document["kind"]},
                hint=f"look at it with: engramctl inspect {path}",
            )  # fmt: skip
        counts[name] = document
    return Sources(results, counts, named)


def _names(paths: Sequence[Path]) -> list[str]:
    """Return the last parts of paths, as many as tell them apart.

    Raises:
        ConfigError: a path that is given twice.
    """
    whole = [path.absolute() for path in paths]
    for place, path in enumerate(whole):
        if path in whole[:place]:
            raise ConfigError(f"{paths[place]} is named twice", hint="name each file once")
    depth = 1
    while True:
        names = ["/".join(path.parts[-depth:]).removesuffix(".json") for path in whole]
        if len(set(names)) == len(names) or depth > max(len(path.parts) for path in whole):
            return names
        depth += 1
