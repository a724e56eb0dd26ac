"""A run as it is watched and kept: progress, the file of finished cases, warnings."""

from pathlib import Path
from typing import Any

from engramctl.bench.loops import total_rounds
from engramctl.bench.options import BenchOptions
from engramctl.bench.run import run_bench
from engramctl.output import Output
from engramctl.results.file import write_result


def measure(
    path: Path, options: BenchOptions, sink: Output, assumed: str | None, target: Path | None
) -> dict[str, Any]:
    """Run the benchmark with progress and write its result; warnings become notes.

    Args:
        path: the folder to measure.
        options: of the run.
        sink: where progress, warnings and what is kept of an interrupted run are told.
        assumed: of the folder, where none was named.
        target: the file of the result; None: none is written.
    """

    def keep(document: dict[str, Any]) -> None:
        if target is not None:
            write_result(document, target)
            measured = sum(bool(case["samples_ns"]) for case in document["cases"])
            sink.note(f"kept in {target}: {measured} of {len(document['cases'])} cases")

    sink.announce_compilation()
    with sink.progress("bench", total_rounds(options), "rounds") as advance:
        document = run_bench(path, options, advance, assumed, keep)
    if target is not None:
        write_result(document, target)
    for warning in document["warnings"]:
        sink.note(f"warning: {warning}")
    return document
