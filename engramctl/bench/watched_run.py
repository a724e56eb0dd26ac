"""A run as it is watched and kept: progress, the file of finished cases, warnings."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from engramctl.output import Output, Table
from engramctl.results.earlier import Earlier
from engramctl.results.file import write_result
from engramctl.storage.files.output_file import is_stream
from engramctl.sweep.loops import total_rounds
from engramctl.sweep.options import BenchOptions

Tables = Callable[[dict[str, Any]], Sequence[Table]]


class Kept:
    """What there is of a run so far: shown and told of when it ends early."""

    def __init__(self, sink: Output, target: Path | None, tables: Tables) -> None:
        """Keep nothing yet.

        Args:
            sink: where what is kept of an interrupted run is printed and told.
            target: the file of the result; None: none is written.
            tables: what shows a document.
        """
        self._sink = sink
        self._target = target
        self._tables = tables
        self._document: dict[str, Any] | None = None

    def keep(self, document: dict[str, Any]) -> None:
        """Take the document so far and write it, but to a stream, which takes one alone."""
        self._document = document
        if self._target is not None and not is_stream(self._target):
            write_result(document, self._target)

    def ended_early(self, *, interrupted: bool) -> None:
        """Print what was measured, and say where it is kept and how to go on."""
        if self._document is None:
            if interrupted:
                self._sink.note("interrupted before the first case was finished: nothing is kept")
            return
        self._sink.result(self._document, self._tables(self._document))
        cases = self._document["cases"]
        done = sum(bool(case["samples_ns"]) and case["status"] != "skipped" for case in cases)
        cut = sum(bool(case["samples_ns"]) and case["status"] == "skipped" for case in cases)
        measured = f"{done} of {len(cases)} cases"
        measured += f" and the samples so far of {cut}" if cut else ""
        if self._target is None:
            self._sink.note(f"{measured} were measured; with -o FILE they are kept for --resume")
        elif is_stream(self._target):
            write_result(self._document, self._target)
        else:
            self._sink.note(
                f"kept in {self._target}: {measured}; run the same command with --resume to go on"
            )


@contextmanager
def kept_when_stopped(sink: Output, target: Path | None, tables: Tables) -> Iterator[Kept]:
    """Give what keeps a run's finished cases, and show them when a signal or an error ends it."""
    kept = Kept(sink, target, tables)
    try:
        yield kept
    except BaseException as error:
        kept.ended_early(interrupted=not isinstance(error, Exception))
        raise


def measure(
    path: Path,
    options: BenchOptions,
    sink: Output,
    assumed: str | None,
    target: Path | None,
    kept: Kept,
    earlier: Earlier | None = None,
    scheme: Path | None = None,
) -> dict[str, Any]:
    """Run the benchmark with progress and write its result; warnings become notes.

    Args:
        path: the folder to measure.
        options: of the run.
        sink: where progress and warnings are told.
        assumed: of the folder, where none was named.
        target: the file of the result; None: none is written.
        kept: takes the cases as they are finished.
        earlier: the result of a run that ended early, to go on from.
        scheme: scheme.json of a checkpoint whose own files do not say it.
    """
    from engramctl.bench.ranked_run import run_ranked
    from engramctl.bench.run import run_bench

    run = run_bench if options.ranks is None else run_ranked
    sink.announce_compilation()
    with sink.progress("bench", total_rounds(options), "rounds") as advance:
        document = run(path, options, advance, assumed, kept.keep, earlier, scheme, tell=sink.note)
    if earlier is not None and document is earlier.document:
        sink.note(f"{target} is finished: nothing is left to measure")
    elif target is not None:
        write_result(document, target)
    for warning in document["warnings"]:
        sink.note(f"warning: {warning}")
    return document
