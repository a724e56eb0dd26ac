"""What a newcomer reads: what reading the memory costs by tier, and where everything is."""

from pathlib import Path
from typing import Any

from engramctl.corpus.sample import SampleCorpus
from engramctl.demo.folder import artefacts
from engramctl.demo.noise import noise_warnings
from engramctl.errors import EngramError
from engramctl.output import Table
from engramctl.shown.figures import duration, overhead, percent
from engramctl.storage.tiers.tier_list import on_disk

DURATION = "this takes about a minute on 2 idle cores, and several where other work runs beside it"


def demo_document(
    out: Path, corpus: SampleCorpus, results: dict[str, Any], seconds: float
) -> dict[str, Any]:
    """Return what a demo made, as a JSON document.

    Args:
        out: its folder.
        corpus: the text that was used.
        results: each step's command and its document.
        seconds: what all of it took.
    """
    return {
        "schema": "engramctl.demo/1",
        "folder": str(out),
        "tokens": corpus.tokens,
        "documents": corpus.documents,
        "seconds": round(seconds, 1),
        "warnings": noise_warnings([one for one in _bench_results(results) if "cases" in one]),
        "artefacts": artefacts(out),
        "results": results,
    }


def demo_tables(document: dict[str, Any]) -> list[Table]:
    """Return the one table a newcomer reads, what it lacks and why, and where everything is."""
    rows: list[dict[str, object]] = []
    skipped: list[dict[str, object]] = []
    caption: list[str] = []
    for result in _bench_results(document["results"]):
        if "skipped" in result:
            skipped.append({"tier": "gpu", "why": result["skipped"]})
        else:
            rows += tier_rows(result)
            skipped += skipped_rows(result)
            caption = column_meanings(result)
    caption += [f"warning: {text}" for text in document["warnings"]]
    title = f"What reading the memory costs, by tier ({document['tokens']:,} tokens of real text)"
    return [
        Table(title, rows, "\n".join(caption)),
        Table("not measured here", skipped),
        Table("artefacts", document["artefacts"]),
    ]


def _bench_results(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what the steps that measure answered: a result each, or why there is none."""
    return [one for command, one in results.items() if command.startswith("engramctl bench")]


def column_meanings(result: dict[str, Any]) -> list[str]:
    """Say what the columns of `tier_rows` mean, with this run's sizes."""
    config = result["config"]
    token = next(c for c in result["cases"] if (c["name"], c["phase"]) == ("gather", "decode"))
    return [
        f"token: the {token['rows']} rows ({token['useful_bytes']:,} bytes) of one new token, all "
        f"layers; prompt: {config['tokens']} at once;",
        f"step: one new token through the '{config['preset']}' {config['residual']} model; "
        "overhead: over its step without memory;",
        "resolution: what two copies of one arm, measured in turn, may differ by;",
        "warm: rows in memory; cold: pages dropped before each sample, and checked.",
    ]


def tier_rows(result: dict[str, Any]) -> list[dict[str, object]]:
    """Return one row a tier and cache state of a bench result that was measured."""
    rows: list[dict[str, object]] = []
    for (tier, cache), cases in _by_tier(result).items():
        gather, step = cases["gather", "decode"], cases["step", "decode"]
        if gather["status"] == "failed":
            raise EngramError(f"the {tier} tier returned wrong rows")
        if gather["status"] != "ok":
            continue
        baseline = _without_memory(result, step["loop"])
        resolution = step["resolution_percent"]
        rows.append(
            {
                "tier": _name(tier, cache),
                "token p50": duration(gather["p50_ns"]),
                "token p99": duration(gather["p99_ns"]),
                "prompt rows/s": cases["gather", "prefill"]["rows_per_s"],
                "step p50": duration(step["p50_ns"]),
                "without memory": None if baseline is None else duration(baseline["p50_ns"]),
                "overhead": overhead(step["against"]["none_percent"], resolution),
                "resolution": percent(resolution),
            }
        )
    return rows


def skipped_rows(result: dict[str, Any]) -> list[dict[str, object]]:
    """Return the tiers and cache states of a bench result that could not be measured, and why."""
    return [
        {"tier": _name(tier, cache), "why": cases["gather", "decode"]["reason"]}
        for (tier, cache), cases in _by_tier(result).items()
        if cases["gather", "decode"]["status"] == "skipped"
    ]


def _by_tier(result: dict[str, Any]) -> dict[tuple[str, str], dict[tuple[str, str], Any]]:
    """Return the cases of the tiers asked for: by tier and cache, then by case and phase."""
    found: dict[tuple[str, str], dict[tuple[str, str], Any]] = {}
    for case in result["cases"]:
        if case["tier"] in result["config"]["tiers"]:
            place = found.setdefault((case["tier"], case["cache"]), {})
            place[case["name"], case["phase"]] = case
    return found


def _without_memory(result: dict[str, Any], loop: str) -> dict[str, Any] | None:
    """Return the step of the model without memory that was measured in turn with a loop's tiers."""
    wanted = ("none", "step", "decode", loop)
    for case in result["cases"]:
        if (case["tier"], case["name"], case["phase"], case["loop"]) == wanted:
            return dict(case)
    return None


def _name(tier: str, cache: str) -> str:
    """Name a row: only rows on disk have two states."""
    return f"{tier} {cache}" if on_disk(tier) else tier
