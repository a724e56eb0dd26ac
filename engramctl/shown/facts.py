"""What a result says of its run: when, by which words, of what, with which options, on what."""

import shlex
from collections.abc import Mapping
from typing import Any

from engramctl.output import Table
from engramctl.shown.figures import percent
from engramctl.shown.memory_text import memory_text
from engramctl.shown.rows import case_rows

_NOT_OPTIONS = (
    "path", "assumed", "scheme", "layout", "num_rows", "named", "sweep", "memory",
)  # fmt: skip


def result_facts(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return a result without its samples, as a JSON document.

    Args:
        document: as `engramctl.results.document.as_current` returns it.

    Raises:
        LookupError, TypeError, AttributeError: a result with parts missing.
    """
    config, machine, rows = document["config"], document["environment"], case_rows(document)
    bounds = [row["resolution_percent"] for row in rows if row["resolution_percent"] is not None]
    return {
        "kind": "bench result",
        "created_utc": document["created_utc"],
        "command": document["command"],
        "made_by": f"engramctl {machine['engramctl']}",
        "measured": config["path"],
        "assumed": config.get("assumed"),
        "scheme": config["scheme"],
        "layout": config.get("layout"),
        "memory": memory_text(config),
        "trace": config["trace"],
        "options": {name: value for name, value in config.items() if name not in _NOT_OPTIONS}
        | config.get("sweep", {}),
        "cpu": machine["cpu"],
        "machine": machine,
        "resolution_percent": {
            "least": min(bounds, default=None), "most": max(bounds, default=None)
        },
        "warnings": document["warnings"],
        "mismatches": sum(case["check"]["mismatches"] for case in document["cases"]),
        "step_fit": document["step_fit"],
        "recipe": document["recipe"],
        "cases": rows,
    }  # fmt: skip


def facts_table(facts: Mapping[str, Any]) -> Table:
    """Return the facts of a run as a short table; what an older result lacks is left out.

    Raises:
        LookupError, TypeError, ValueError, AttributeError: facts that a stranger made.
    """
    command, made = facts["command"], facts["created_utc"]
    rows = {
        "result": facts["path"],
        "made": f"{made}, {facts['made_by']}" if made else facts["made_by"],
        "command": None if command is None else shlex.join(command),
        "measured": _measured(facts),
        "memory": facts["memory"],
        "assumed": facts["assumed"],
        "options": ", ".join(_options(facts["options"])),
        "machine": _machine(facts["machine"]),
        "disk": _disk(facts["machine"].get("disk", {})),
        "resolution": _resolution(facts["resolution_percent"]),
        "wrong rows": facts["mismatches"] or None,
    }
    shown = [{"fact": name, "value": value} for name, value in rows.items() if value is not None]
    shown += [{"fact": "warning", "value": text} for text in facts["warnings"]]
    return Table("bench result", shown)


def _measured(facts: Mapping[str, Any]) -> str:
    layout = facts["layout"]
    form = "" if layout is None else f", {layout['form']} {layout['dtype']}"
    return f"{facts['measured']}: {facts['scheme']}{form}"


def _options(options: Mapping[str, Any]) -> list[str]:
    """Return `name value` of every option."""
    return [
        f"{name} {'+'.join(map(str, value)) if isinstance(value, list | tuple) else value}"
        for name, value in options.items()
    ]


def _machine(machine: Mapping[str, Any]) -> str:
    parts = [str(machine["cpu"])]
    if machine.get("num_cpus"):
        parts.append(f"{machine['num_cpus']} CPUs")
    if machine.get("memory_bytes"):
        parts.append(f"{machine['memory_bytes'] / 2**30:.3g} GiB")
    parts += [device["name"] for device in machine.get("gpu", {}).get("devices", [])]
    return ", ".join(parts)


def _disk(disk: Mapping[str, Any]) -> str | None:
    return ", ".join(str(disk[name]) for name in ("device", "filesystem") if disk.get(name)) or None


def _resolution(bounds: Mapping[str, float | None]) -> str | None:
    least, most = percent(bounds["least"]), percent(bounds["most"])
    return least if least == most else f"{least} to {most}, by loop"
