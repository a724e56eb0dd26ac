"""What a newcomer reads: what reading the memory costs by tier, and where everything is."""

from pathlib import Path
from typing import Any

from engramctl.corpus.sample import SampleCorpus
from engramctl.demo.folder import artefacts
from engramctl.errors import EngramError
from engramctl.output import Table
from engramctl.results.tables import duration, overhead, percent


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
        "artefacts": artefacts(out),
        "results": results,
    }


def demo_tables(document: dict[str, Any]) -> list[Table]:
    """Return the one table a newcomer reads, and where everything is."""
    rows: list[dict[str, object]] = []
    skipped = []
    caption: list[str] = []
    for command, result in document["results"].items():
        if not command.startswith("engramctl bench"):
            continue
        if "skipped" in result:
            skipped.append({"tier": "gpu", "why": result["skipped"]})
        else:
            rows += tier_rows(result)
            caption = column_meanings(result)
    title = f"What reading the memory costs, by tier ({document['tokens']:,} tokens of real text)"
    return [
        Table(title, rows, "\n".join(caption)),
        Table("not measured here", skipped),
        Table("artefacts", document["artefacts"]),
    ]


def column_meanings(result: dict[str, Any]) -> list[str]:
    """Say what the columns of `tier_rows` mean, with this run's sizes."""
    config = result["config"]
    token = next(c for c in result["cases"] if (c["name"], c["phase"]) == ("gather", "decode"))
    return [
        f"token: the {token['rows']} rows ({token['useful_bytes']:,} bytes) of one new token, all "
        f"layers; prompt: {config['tokens']} tokens at once;",
        f"step: one new token through the '{config['preset']}' {config['residual']} model, against "
        "the same model without memory;",
        "resolution: what two copies of one arm, measured in turn, may differ by;",
        "on disk: pages dropped before each sample, and checked to be gone.",
    ]


def tier_rows(result: dict[str, Any]) -> list[dict[str, object]]:
    """Return one row a tier and cache state of a bench result."""
    named = set(result["config"]["tiers"])
    cases = {
        (case["tier"], case["cache"], case["name"], case["phase"]): case
        for case in result["cases"]
        if case["tier"] in named
    }
    rows: list[dict[str, object]] = []
    for tier, cache in dict.fromkeys((tier, cache) for tier, cache, _, _ in cases):
        gather = cases[tier, cache, "gather", "decode"]
        if gather["status"] == "failed":
            raise EngramError(f"the {tier} tier returned wrong rows")
        step = cases[tier, cache, "step", "decode"]
        chunk = cases[tier, cache, "gather", "prefill"]
        resolution = step["resolution_percent"]
        rows.append(
            {
                "tier": tier,
                "rows are": "in memory" if cache == "warm" else "on disk",
                "token p50": duration(gather["p50_ns"]) or gather["reason"],
                "token p99": duration(gather["p99_ns"]),
                "prompt rows/s": chunk["rows_per_s"],
                "step p50": duration(step["p50_ns"]),
                "over no memory": overhead(step["against"]["none_percent"], resolution),
                "resolution": percent(resolution),
            }
        )
    return rows
