"""`engramctl demo`: the whole pipeline on text every machine has, by the commands themselves."""

import contextlib
import io
import json as jsonlib
import re
import shlex
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from engramctl.commands.options import Config, Force, Json, Quiet, output_for
from engramctl.errors import ConfigError, EngramError
from engramctl.output import Table
from engramctl.results.tables import duration, overhead, percent

DEFAULT_OUT = Path("engramctl-demo")
_BUILD = ("--scheme", "deepseek-v41", "--slots", "50000", "--row-dim", "64")
_BENCH = ("--samples", "100", "--tokens", "128", "--case", "gather", "--case", "step")


@dataclass(frozen=True)
class Step:
    """One command of the pipeline, what it makes, and whether --force applies to it."""

    words: tuple[str, ...]
    makes: Path | None = None
    forcible: bool = False

    @property
    def command(self) -> str:
        """The line a user would type."""
        return shlex.join(("engramctl", *self.words))


def demo(
    ctx: typer.Context,
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="DIR", help="Folder for all artefacts.")
    ] = DEFAULT_OUT,
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Run the whole pipeline once, on Python's own source.

    Takes about a minute, no network and no GPU. Writes the standard library as a corpus, trains
    a small tokenizer, then mines, builds, lays out, verifies and measures with
    the commands it prints.

      Example:  engramctl demo -o engramctl-demo
    """
    from engramctl.corpus.sample import write_sample_corpus

    sink = output_for(json=json, quiet=quiet)
    started = time.perf_counter()
    if out.exists() and not force:
        raise ConfigError(
            f"{out} exists", hint=f"name another folder with -o, or run: engramctl demo -o {out} "
            "--force",
        )  # fmt: skip
    if out.exists():
        check_folder(out)
    sink.announce_compilation()
    sink.note(f"writing the standard library's source as a corpus: {out}/corpus.parquet")
    _make_folder(out)
    corpus = write_sample_corpus(out)
    results = {}
    for step in plan_steps(out):
        words = (*step.words, "--force") if force and step.forcible else step.words
        sink.note(f"$ {step.command}")
        results[step.command] = run_step(ctx, (*words, "--quiet") if quiet else words)
    document = {
        "schema": "engramctl.demo/1",
        "folder": str(out),
        "tokens": corpus.tokens,
        "documents": corpus.documents,
        "seconds": round(time.perf_counter() - started, 1),
        "artefacts": artefacts(out),
        "results": results,
    }
    sink.result(document, tables(document))
    sink.note(f"done in {document['seconds']} s; look around with: engramctl inspect {out}/tables")


def plan_steps(out: Path) -> list[Step]:
    """Return the pipeline; every step is a command that stands for itself."""
    corpus, tokenizer = out / "corpus.parquet", out / "tokenizer.json"
    counts, tables, host, ssd = (
        out / name for name in ("counts", "tables", "shards-host", "shards-ssd")
    )

    def bench(shards: Path, tier: str, result: str) -> Step:
        target = out / result
        words = ("bench", shards, "--tier", tier, "--trace", corpus, *_BENCH, "-o", target)
        return Step(tuple(str(word) for word in words), target, True)

    def made(path: Path, *words: object) -> Step:
        return Step((*(str(word) for word in words), "-o", str(path)), path, True)

    return [
        made(counts, "mine", corpus, "--column", "input_ids"),
        made(tables, "build", *_BUILD, "--tokenizer", tokenizer, "--counts", counts),
        made(host, "layout", tables, "--tier", "host"),
        made(ssd, "layout", tables, "--tier", "ssd"),
        Step(("verify", str(host))),
        Step(("verify", str(ssd))),
        bench(host, "host", "host.json"),
        bench(ssd, "ssd", "ssd.json"),
        bench(host, "gpu", "gpu.json"),
    ]


def check_folder(out: Path) -> None:
    """Refuse a folder that holds what no demo wrote.

    Raises:
        ConfigError: so it is.
        StorageError: it cannot be listed.
    """
    from engramctl.corpus.sample import CORPUS, TOKENIZER, is_sample_corpus
    from engramctl.storage.files.atomic import NEW_NAME, old_path, os_errors
    from engramctl.storage.files.held_folder import shown
    from engramctl.storage.files.published import partial_path

    made = [step.makes for step in plan_steps(out) if step.makes is not None]
    ours = {CORPUS, TOKENIZER}
    ours |= {place.name for one in made for place in (one, partial_path(one), old_path(one))}
    with os_errors("open", out):
        found = sorted(one.name for one in out.iterdir())
    foreign = [name for name in found if name not in ours and not re.fullmatch(NEW_NAME, name)]
    if not foreign and not is_sample_corpus(out):
        foreign = [name for name in found if name in (CORPUS, TOKENIZER)]
    if foreign:
        raise ConfigError(
            f"{out} holds what engramctl demo did not write",
            facts={"found": shown(foreign)},
            hint="name another folder with -o",
        )


def run_step(ctx: typer.Context, words: tuple[str, ...]) -> Any:
    """Run one command in this process and return its JSON document.

    A tier that is missing here is an answer, not a failure: `{"skipped": reason}`.
    """
    from engramctl.errors import TierUnavailable

    assert ctx.parent is not None
    printed = io.StringIO()
    try:
        with contextlib.redirect_stdout(printed):
            code = ctx.parent.command.main(
                [*words, "--json"], prog_name="engramctl", standalone_mode=False
            )
    except TierUnavailable as error:
        return {"skipped": "; ".join(str(reason) for reason in error.facts.values())}
    if code:  # interrupted: typer returns the exit code instead of raising
        raise SystemExit(code)
    return jsonlib.loads(printed.getvalue())


def _make_folder(out: Path) -> None:
    from engramctl.storage.files.atomic import os_errors

    with os_errors("make", out):
        out.mkdir(parents=True, exist_ok=True)


def artefacts(out: Path) -> list[dict[str, object]]:
    """Return what lies in the folder, its size, and the command that made it."""
    makers = {step.makes: step.command for step in plan_steps(out)}
    rows: list[dict[str, object]] = []
    for path in sorted(out.iterdir()):
        files = [path] if path.is_file() else [f for f in path.rglob("*") if f.is_file()]
        rows.append(
            {
                "artefact": str(path),
                "bytes": sum(file.stat().st_size for file in files),
                "made by": makers.get(path, f"engramctl demo -o {out}"),
            }
        )
    return rows


def tables(document: dict[str, Any]) -> list[Table]:
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
