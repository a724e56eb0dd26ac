"""`engramctl demo`: the whole pipeline on text every machine has, by the commands themselves."""

import contextlib
import io
import json as jsonlib
import time
from pathlib import Path
from typing import Annotated, Any

import typer

from engramctl.arguments.options import Config, Force, Json, Quiet, output_for


def demo(
    ctx: typer.Context,
    out: Annotated[
        Path, typer.Option("-o", "--out", metavar="DIR", help="Folder for all artefacts.")
    ] = Path("engramctl-demo"),
    force: Force = False,
    json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    """Run the whole pipeline once, on Python's own source.

    Takes about a minute, no network and no GPU. Writes the standard library as a corpus, trains
    a small tokenizer, then mines, builds, lays out, verifies, measures and
    reports with the commands it prints.

      Example:  engramctl demo -o engramctl-demo
    """
    from engramctl.corpus.sample import write_sample_corpus
    from engramctl.demo.folder import check_place, make_folder
    from engramctl.demo.steps import Step, plan_steps, report_step
    from engramctl.demo.view import DURATION, demo_document, demo_tables
    from engramctl.report.drawing.loaded import has_matplotlib

    sink = output_for(json=json, quiet=quiet)
    started = time.perf_counter()
    check_place(out, force=force)
    sink.note(DURATION)
    sink.announce_compilation()
    sink.note(f"writing the standard library's source as a corpus: {out}/corpus.parquet")
    make_folder(out)
    corpus = write_sample_corpus(out)
    results = {}

    def run(step: Step) -> None:
        words = (*step.words, "--force") if force and step.forcible else step.words
        sink.note(f"$ {step.command}")
        results[step.command] = run_step(ctx, (*words, "--quiet") if quiet else words)

    for step in plan_steps(out):
        run(step)
    last = report_step(out, drawn=has_matplotlib())
    run(last)
    document = demo_document(out, corpus, results, time.perf_counter() - started)
    sink.result(document, demo_tables(document))
    sink.note(f"done in {document['seconds']} s; the report is {last.makes}")
    sink.note(f"look around with: engramctl inspect {out}/tables")


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
