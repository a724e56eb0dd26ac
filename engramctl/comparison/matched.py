"""Cases of two results that measured the same, and those that have no fellow, with the reason."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from engramctl.results.states import TRAFFIC
from engramctl.sweep.axes import AXES, axes_of

Key = tuple[Any, ...]


@dataclass(frozen=True)
class Measured:
    """A case that has samples to be compared.

    Attributes:
        case: of the result, as it has it.
        axes: its value of every axis; None of one that changes nothing, or that is not known.
        samples: ns, float64 (n,), in the order they were taken; all above 0.
    """

    case: Mapping[str, Any]
    axes: Mapping[str, Any]
    samples: NDArray[np.float64]

    @property
    def id(self) -> str:
        """What it is called: its ID, or of an older result the words that it has."""
        said = self.case["id"]
        words = (self.case[name] for name in ("name", "phase", "tier", "loop"))
        return str(said) if said else ".".join(map(str, words)) + f".b{self.case['batch']}"


@dataclass(frozen=True)
class Matches:
    """What of two results is the same.

    Attributes:
        pairs: of OLD and NEW, in the order of OLD.
        alone: the rest: `case` (its ID), `reason`, and `failed`: NEW tried it and went wrong.
    """

    pairs: list[tuple[Measured, Measured]]
    alone: list[dict[str, Any]]


def measured_cases(document: Mapping[str, Any]) -> list[Measured]:
    """Return every case of a result with the place it has in any sweep, measured or not.

    Args:
        document: as `engramctl.results.document.as_current` returns it.

    Raises:
        LookupError, TypeError, ValueError, AttributeError: a result with parts missing or wrong.
    """
    config, found = document["config"], []
    for case in document["cases"]:
        samples = np.asarray(case["samples_ns"], np.float64)
        if samples.ndim != 1 or not np.all(np.isfinite(samples) & (samples > 0)):
            raise ValueError("samples_ns holds what is no time")
        if not isinstance(case["flags"], list) or not isinstance(case["status"], str):
            raise TypeError("flags or status of a case are not as they should be")
        values = {axis.name: case["axes"].get(axis.name, config.get(axis.name)) for axis in AXES}
        values["batch"] = case["batch"]
        axes = axes_of(case["name"], case["phase"], values)
        found.append(Measured(case, axes, samples))
    return found


def match(old: Sequence[Measured], new: Sequence[Measured]) -> Matches:
    """Return which cases of two results are the same: name, phase, tier, cache, issue and axes.

    An option that is another for a whole run, and swept in none of the two, keeps no cases apart:
    it is told beforehand. Sequences, tokens and context do: another work.
    """
    telling = [axis.name for axis in AXES if axis.always or _swept(axis.name, old, new)]
    first, second = _by_key(old, telling), _by_key(new, telling)
    found = Matches([], [])
    for key, ours in first.items():
        theirs = second.get(key, [])
        reason = _hindrance(ours, theirs)
        if reason is None:
            found.pairs.append((ours[0], theirs[0]))
        elif any(len(one.samples) for one in ours):
            failed = any(one.case["status"] == "failed" for one in theirs)
            found.alone.append({"case": ours[0].id, "reason": reason, "failed": failed})
    for key, theirs in second.items():
        if key not in first and _usable(theirs[0]) is None:
            alone = {"case": theirs[0].id, "reason": "OLD does not have it", "failed": False}
            found.alone.append(alone)
    return found


def _swept(name: str, *results: Sequence[Measured]) -> bool:
    """Tell whether an axis has several values in one of the results."""
    values = [{str(one.axes[name]) for one in some if one.axes[name] is not None}
              for some in results]  # fmt: skip
    return any(len(one) > 1 for one in values)


def _by_key(cases: Sequence[Measured], telling: Sequence[str]) -> dict[Key, list[Measured]]:
    found: dict[Key, list[Measured]] = {}
    for one in cases:
        named = (one.case[name] for name in ("name", "phase", "tier", "cache", "loop", "issue"))
        key = (*named, *(str(one.axes[name]) for name in telling))
        found.setdefault(key, []).append(one)
    return found


def _hindrance(ours: Sequence[Measured], theirs: Sequence[Measured]) -> str | None:
    """Say why two cases cannot be compared; None: they can."""
    if not theirs:
        return "NEW does not have it"
    if len(ours) > 1 or len(theirs) > 1:
        return "not told apart: one of the results does not say which option was swept"
    for name, one in (("OLD", ours[0]), ("NEW", theirs[0])):
        if (reason := _usable(one)) is not None:
            return f"{name}: {reason}"
    return _other_history(ours[0].case, theirs[0].case)


def _other_history(old: Mapping[str, Any], new: Mapping[str, Any]) -> str | None:
    """Say that what was read before the first samples differs, where it decides what they find."""
    then, now = old.get("tokens_before"), new.get("tokens_before")
    if old["cache"] != TRAFFIC or then is None or now is None or then == now:
        return None
    return f"tokens looked up before the first sample: {then:,} in OLD, {now:,} in NEW"


def _usable(one: Measured) -> str | None:
    """Say why a case has nothing to be compared; None: it has."""
    if one.case["status"] != "ok":
        return str(one.case["reason"] or one.case["status"])
    if len(one.samples) < 2:
        return "fewer than 2 samples"
    return "; ".join(map(str, one.case["flags"])) or None
