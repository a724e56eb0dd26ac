"""What two results differ in besides their times: said first, and a reason not to judge."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from engramctl.comparison.drift import rates
from engramctl.errors import ConfigError
from engramctl.sweep.axes import AXES

_MACHINE = ("cpu", "machine", "num_cpus", "memory_gib", "gpu", "disk", "huge_pages")
_TABLE = ("scheme", "layout", "num_rows", "table_xxh3_128")
_THREADS = ("threads", "store_threads")
_OPTIONS = (
    "settings", "model_dtype", "budget_bytes", "row_cache_bytes", "warm", "after", "fill",
    "fill_entries", "fill_size_bytes", "write_budget_bytes", "engine", "trace", "seed",
    *(axis.name for axis in AXES if not axis.always),
)  # fmt: skip
_NONE_IS_A_CHOICE = ("budget_bytes", "row_cache_bytes", "warm", "fill")  # no gap of older results
_TOLD = ("engramctl", "commit", "python", "platform", "libraries", "path", "samples", "created")
_RATE_TOLD = 0.05  # of the machine itself: more is another load
NAMES = ("machine", "table", "threads", *(one.replace("_", "-") for one in _OPTIONS))


@dataclass(frozen=True)
class Difference:
    """One fact that two results do not share.

    Attributes:
        name: of NAMES where it keeps a gate from judging, else what it is.
        fact: which fact of it.
        old: as a text; None: not said.
        new: the same of NEW.
        hinders: whether times cannot be held against each other without more ado.
    """

    name: str
    fact: str
    old: str | None
    new: str | None
    hinders: bool


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[Difference]:
    """Return what two results differ in, what hinders a comparison first.

    A fact that one of them does not say is shown, and hinders nothing: older results say less.

    Args:
        old: as `engramctl.results.document.as_current` returns it.
        new: the same.

    Raises:
        LookupError, TypeError, ValueError, AttributeError: a result with parts missing or wrong.
    """
    then, now = _facts(old), _facts(new)
    found = [
        Difference(*key, _text(then.get(key)), _text(now.get(key)),
                   key[0] in NAMES and None not in (then.get(key), now.get(key)))
        for key in dict.fromkeys((*then, *now))
        if then.get(key) != now.get(key)
    ]  # fmt: skip
    return sorted(found, key=lambda one: not one.hinders) + list(_other_rates(old, new))


def _other_rates(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
    """Give what the machine itself did at another rate, as when something else ran beside."""
    then, now = rates(old), rates(new)
    for name in (one for one in then if one in now):
        if abs(now[name] / then[name] - 1) > _RATE_TOLD:
            texts = f"{then[name]:,.3g}", f"{now[name]:,.3g}"
            yield Difference("rate", name, *texts, hinders=False)


def refuse_others(
    found: Sequence[Difference], allowed: Collection[str], old: object, new: object
) -> None:
    """Refuse to judge two results that differ in more than their build.

    Raises:
        ConfigError: names what hinders and is not allowed.
    """
    hindering = [one for one in found if one.hinders and one.name not in allowed]
    if not hindering:
        return
    names = list(dict.fromkeys(one.name for one in hindering))
    facts = {_named(one): f"{one.old} in {old}, {one.new} in {new}" for one in hindering}
    words = " ".join(f"--allow-different {name}" for name in names)
    raise ConfigError(
        f"--fail-if cannot judge results of another {' and another '.join(names)}",
        facts=facts,
        hint=f"measure both alike, or judge all the same: add {words}",
    )


def _named(one: Difference) -> str:
    return one.name if one.name.replace("-", "_") == one.fact else f"{one.name}, {one.fact}"


def _facts(document: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
    """Return every fact that is compared, by its name and what it is of."""
    config, machine = document["config"], document["environment"]
    memory = machine.get("memory_bytes")
    told = {
        **machine,
        "memory_gib": None if memory is None else round(memory / 2**30),
        "gpu": [one["name"] for one in machine.get("gpu", {}).get("devices", [])] or None,
        "disk": _disk(machine.get("disk") or {}),
    }
    swept = config.get("sweep", {})
    options = {name: swept.get(name, config.get(name)) for name in (*_OPTIONS, "samples", "path")}
    options |= {
        name: "none" for name in _NONE_IS_A_CHOICE if name in config and config[name] is None
    }
    runs = {**told, **options, "created": document["created_utc"]}
    found = {("machine", name): told.get(name) for name in _MACHINE}
    found |= {("table", name): config.get(name) for name in _TABLE}
    found |= {("threads", name): config.get(name) for name in _THREADS}
    found |= {(name.replace("_", "-"), name): options[name] for name in _OPTIONS}
    found |= {(name, name): runs.get(name) for name in _TOLD}
    return dict(_flat(json.loads(json.dumps(list(found.items())))))


def _flat(facts: Iterable[tuple[Sequence[str], Any]]) -> Iterator[tuple[tuple[str, str], Any]]:
    """Give facts, each key of an object as one of its own."""
    for (name, fact), value in facts:
        if isinstance(value, dict):
            yield from (((name, f"{fact} {key}"), one) for key, one in value.items())
        else:
            yield (name, fact), value


def _disk(disk: Mapping[str, Any]) -> str | None:
    return " ".join(str(disk[name]) for name in ("device", "filesystem") if disk.get(name)) or None


def _text(value: Any) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)
