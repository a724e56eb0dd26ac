"""A run on several ranks: as one of those that `torchrun` started, or by starting them here."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any

from engramctl.bench.run import run_bench
from engramctl.ranks.peers import device_of, met
from engramctl.ranks.place import Place, launched_place
from engramctl.ranks.started import Report, run_all
from engramctl.results.earlier import Earlier
from engramctl.sweep.options import BenchOptions
from engramctl.terminal.command_line import typed, typed_words

Keep = Callable[[dict[str, Any]], None]


def run_ranked(
    path: Path,
    options: BenchOptions,
    progress: Callable[[int], None],
    assumed: str | None = None,
    keep: Keep | None = None,
    earlier: Earlier | None = None,
    scheme_file: Path | None = None,
    tell: Callable[[str], None] = lambda text: None,
) -> dict[str, Any]:
    """Measure a table on `options.ranks` ranks; arguments and result as of `run_bench`.

    Raises:
        LostPeers: a rank ended, or did not answer.
        EngramError: as `run_bench`.
    """
    run = _Asked(path, options, assumed, earlier, scheme_file, tuple(typed_words() or ()))
    place = launched_place()
    if place is not None:
        return run.as_rank(place, progress, keep, tell)
    assert options.ranks is not None
    document: dict[str, Any] = run_all(
        options.ranks, run.started,
        {"progress": progress, "keep": keep or (lambda document: None), "tell": tell},
    )  # fmt: skip
    if earlier is not None and document == earlier.document:
        return earlier.document
    return document


@dataclass(frozen=True)
class _Asked:
    """What is asked of every rank; goes to their processes."""

    path: Path
    options: BenchOptions
    assumed: str | None
    earlier: Earlier | None
    scheme_file: Path | None
    words: Sequence[str] = field(default=())

    def started(self, place: Place, report: Report) -> dict[str, Any]:
        """Run as a rank that was started here; the first one reports."""
        return self.as_rank(
            place, partial(report, "progress"), partial(report, "keep"), partial(report, "tell")
        )

    def as_rank(
        self,
        place: Place,
        progress: Callable[[int], None],
        keep: Keep | None,
        tell: Callable[[str], None],
    ) -> dict[str, Any]:
        """Run the loops with the other ranks."""
        cores = max(1, len(os.sched_getaffinity(0)) // place.local_world)
        options = replace(
            self.options,
            threads=self.options.threads or cores,
            store_threads=self.options.store_threads or cores,
        )
        device = device_of(place)
        with typed(self.words), met(place, device) as peers:
            return run_bench(
                self.path, options, progress, self.assumed, keep, self.earlier,
                self.scheme_file, tell, peers,
            )  # fmt: skip
