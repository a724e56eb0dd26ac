"""The result of a run that ended early: whether another run may go on from it, and with what."""

import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from engramctl.errors import ConfigError, FormatError
from engramctl.results.document import Case, LoopName

NOT_YET = "not measured yet"
INTERRUPTED = "interrupted"
ENDED = "ended by an error: "
_UNFINISHED = (NOT_YET, INTERRUPTED)
_MACHINE = (
    "engramctl", "python", "platform", "machine", "cpu", "num_cpus", "page_bytes", "huge_pages",
    "io_uring", "disk", "gpu", "hashing_kernels",
)  # fmt: skip
_LIBRARIES = ("numba", "numpy", "torch", "triton")  # those that lookups and models run on


@dataclass(frozen=True)
class Earlier:
    """A result to go on from.

    Attributes:
        document: of the run that ended early.
        file: that holds it, for messages.
    """

    document: dict[str, Any]
    file: Path

    def check_same_run(self, now: Mapping[str, Any], names: Iterable[str]) -> None:
        """Refuse to go on where options, table or machine are not those of the earlier run.

        Args:
            now: document of the run that goes on, before it measures.
            names: keys of `config` that must be equal; `path` need not, of a temporary table.

        Raises:
            ConfigError: names what differs, as the earlier run had it and as it is now.
            FormatError: the earlier document has parts missing.
        """
        names = tuple(names)
        with self._usable():
            before = _compared(self.document, names)
        for name, found in _compared(now, names).items():
            if before.get(name) != found:
                raise ConfigError(
                    f"{self.file} is of another run: {name} differs",
                    facts={"expected": _shown(before.get(name)), "found": _shown(found)},
                    hint="give what the first run was given with --resume, or --force in place "
                    "of --resume to start over",
                )

    def other_options(self, now: Mapping[str, Any], names: Iterable[str]) -> str:
        """Say which options that need not be equal are others now; "" where none is.

        Args:
            now: document of the run that goes on.
            names: keys of `config`.
        """
        with self._usable():
            then, here = (json.loads(json.dumps(one["config"])) for one in (self.document, now))
            pairs = {
                name: (_swept(then, name), _swept(here, name)) for name in names if name != "sweep"
            }
        return "; ".join(
            f"{name} {_shown(one)}, now {_shown(other)}"
            for name, (one, other) in pairs.items()
            if one != other
        )

    def finished_loops(self) -> dict[LoopName, list[Case]]:
        """Return the cases of every loop in which nothing is left to measure.

        Raises:
            FormatError: a case is not what one must be.
        """
        names = {one.name for one in fields(Case)}
        loops: dict[LoopName, list[Case]] = {}
        with self._usable():
            for one in self.document["cases"]:
                case = Case(**{name: value for name, value in one.items() if name in names})
                case.to_dict()
                case.axes = dict(one["axes"])  # of an older result: an error
                loops.setdefault(case.loop_name, []).append(case)
        return {name: cases for name, cases in loops.items() if all(map(_is_done, cases))}

    def warnings(self) -> list[str]:
        """Return the warnings of the earlier run, but that it ended early.

        Raises:
            FormatError: there are none, not even an empty list.
        """
        with self._usable():
            found = [str(one) for one in self.document["warnings"]]
        return [one for one in found if one != INTERRUPTED and not one.startswith(ENDED)]

    @contextmanager
    def _usable(self) -> Iterator[None]:
        try:
            yield
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            raise FormatError(
                f"{self.file} cannot be gone on from: it is not as bench writes results",
                facts={"reason": f"{type(error).__name__}: {error}"},
                hint="run again with --force in place of --resume: it starts over",
            ) from error


def _is_done(case: Case) -> bool:
    if case.status == "skipped":
        return case.reason not in _UNFINISHED  # an interrupted one has samples, and too few
    return bool(case.samples_ns)


def _compared(document: Mapping[str, Any], names: Iterable[str]) -> dict[str, Any]:
    """Return what must be equal, by the name that a person is told."""
    config, machine = document["config"], document["environment"]
    kept = [name for name in names if not (name == "path" and _is_temporary(config))]
    found: dict[str, Any] = {f"{name} of the run": config.get(name) for name in kept}
    found |= {f"{name} of the machine": machine.get(name) for name in _MACHINE}
    found |= {f"the version of {name}": machine["libraries"].get(name) for name in _LIBRARIES}
    plain: dict[str, Any] = json.loads(json.dumps(found))
    return plain


def _is_temporary(config: Mapping[str, Any]) -> bool:
    return "temporary" in (config["assumed"] or "")


def _swept(config: Mapping[str, Any], name: str) -> Any:
    """Return an option's value, or all of them where it was swept."""
    return config.get("sweep", {}).get(name, config.get(name))


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)
