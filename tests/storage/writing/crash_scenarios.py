"""Runs that may be cut short anywhere, and the promise that is checked behind every crash.

After a crash NAME is not there, or the old folder, or the new one, whole; when the command had said
that it is done, the new one. The same command, told to go on, then gives the same bytes as a run
that nothing disturbed, and leaves nothing else behind.
"""

import contextlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np
from numpy.typing import NDArray

from engramctl.corpus.corpus import Corpus
from engramctl.errors import StorageError
from engramctl.mining.local import mine
from engramctl.mining.options import MineOptions
from engramctl.storage.files import atomic
from engramctl.storage.writing.file_plan import FilePlan
from engramctl.storage.writing.plan import TablePlan
from engramctl.storage.writing.writer import write_table
from engramctl.tables.export import plan_export, run_export
from engramctl.tables.opened_rows import open_rows
from tests.helpers.corpora import write_ids
from tests.helpers.small_table import small_table
from tests.storage.dictionaries import write_with_dictionary
from tests.storage.tables import Stop, make_plan, stop_after
from tests.storage.writing.crash_fs import Recorder
from tests.storage.writing.crash_states import Tree, materialise

Run = Callable[..., object]
FILES = tuple[tuple[str, bytes | None], ...]
OLD = make_plan(form="packed", seed=1, rows={1: 150})
# Two files, of four extents and of one, whole pages each.
NEW = make_plan(form="packed", dtype="bf16", seed=2, rows={1: 320}, shard_rows=256)
OTHER = make_plan(form="packed", seed=3, rows={1: 600, 7: 90})


@dataclass(frozen=True)
class Scenario:
    """A command on a folder.

    Attributes:
        name: what happens.
        run: run(out, force=.., resume=..) does it.
        prepare: makes what is there before, beside or at `out`.
        force: whether an old folder is replaced.
        resumes: whether what is left can be continued; else it is begun anew.
        exchange: whether the file system can exchange names.
        target: where the folder is made.
    """

    name: str
    run: Run
    prepare: Callable[[Path], object] = lambda out: None
    force: bool = False
    resumes: bool = True
    exchange: bool = True
    target: str = "out"

    def record(self, folder: Path) -> Recorder:
        """Run it undisturbed below an empty folder."""
        out = self.begin(folder)
        with self.file_system(), Recorder(folder) as recorder:
            self.run(out, force=self.force, resume=self.resumes and not self.force)
        return recorder

    def begin(self, folder: Path) -> Path:
        """Make what is there before; return the target."""
        folder.mkdir()
        self.prepare(folder / self.target)
        return folder / self.target

    @contextlib.contextmanager
    def file_system(self) -> Iterator[None]:
        """Take the exchange of names away, where there shall be none."""
        if self.exchange:
            yield
        else:
            with mock.patch.object(atomic, "exchange_names", return_value=False):
                yield

    def go_on(self, out: Path, *, anew: bool = False) -> None:
        """Do what a user does next: `--resume`, and `--force` where something is replaced."""
        with self.file_system():
            resume = self.resumes and not anew
            self.run(out, force=not resume or out.exists(), resume=resume)

    def check_crash(
        self, finished: bool, tree: Tree, recorded: Path, place: Path, *, anew: bool = False
    ) -> None:
        """Check one state that a crash leaves.

        Args:
            finished: whether the command had said that it is done.
            tree: the state.
            recorded: where the undisturbed run ended.
            place: an unused path, for the state.
            anew: begin again instead of going on.
        """
        materialise(tree, place)
        self._check(finished, recorded, place, anew)

    def check_fault(
        self, calls: tuple[str, ...], number: int, code: int, recorded: Path, place: Path
    ) -> bool:
        """Let one call fail in a run below `place` and check what that leaves.

        Returns:
            False when there are not so many calls.
        """
        out = self.begin(place)
        told = False
        with self.file_system(), Recorder(place) as recorder:
            recorder.fail(calls, number, code)
            try:
                self.run(out, force=self.force, resume=self.resumes and not self.force)
            except StorageError as error:
                told = os.strerror(code) in error.message
        self._check(not told, recorded, place, anew=False)
        return recorder.failed

    def _check(self, finished: bool, recorded: Path, place: Path, anew: bool) -> None:
        old = recorded.with_name(f"{recorded.name}-old")
        if not old.exists():
            self.begin(old)
        there = files(place)
        whole = tuple(one for one in files(place / self.target) if one[0] != "state.json")
        right = [files(recorded / self.target)]
        if not finished:
            right += [(), files(old / self.target)]
        assert whole in right, there
        self.go_on(place / self.target, anew=anew)
        assert files(place) == files(recorded), there


def files(folder: Path) -> FILES:
    """Return what lies in a folder; () when it is empty or not there."""
    return tuple(
        (str(one.relative_to(folder)), None if one.is_dir() else one.read_bytes())
        for one in sorted(folder.rglob("*"))
    )


def write(plan: TablePlan, out: Path, **options: Any) -> None:
    """Write rows quickly, no byte of them zero, and save after every two extents."""

    def fill(file: FilePlan, row: int, num_rows: int, data: NDArray[np.uint8]) -> None:
        data[:] = (np.arange(data.size) + row + 7 * (plan.provenance.seed or 0)) % 255 + 1

    write_table(plan, out, fill, workers=1, checkpoint_bytes=8000, **options)


def build(out: Path, **options: Any) -> None:
    write(NEW, out, **options)


def built(out: Path) -> None:
    write(OLD, out)


def begun(out: Path) -> None:
    """Leave the same command half done."""
    with contextlib.suppress(Stop):
        write(NEW, out, progress=stop_after(3))


def begun_otherwise(out: Path) -> None:
    """Leave a command with other options half done: more files, and longer ones."""
    with contextlib.suppress(Stop):
        write(OTHER, out, progress=stop_after(4))


def scenarios(folder: Path) -> tuple[Scenario, ...]:
    """Return all scenarios; what they read is made in a folder."""
    write_ids(folder / "corpus.parquet", [[1, 2, 3, 1, 2], [7, 1, 2]])
    corpus = Corpus.open([folder / "corpus.parquet"])
    source = open_rows(small_table(folder / "table", slots=11).path)
    family, raw = plan_export(source), plan_export(source, "raw-shards", parts=1)

    def with_dictionary(out: Path, **options: Any) -> None:
        write_with_dictionary(OLD, out, workers=1, **options)

    def export(out: Path, *, force: bool, resume: bool) -> None:
        run_export(source, raw, out, force=force)

    def exported(out: Path) -> None:
        run_export(source, family, out)

    def mined(out: Path, **options: Any) -> None:
        mine(corpus, out, MineOptions((1, 2), resident_bytes=0), **options)

    return (
        Scenario("build", build, target="new/deep/out"),
        Scenario("build-replacing", build, built, force=True),
        Scenario("build-replacing-without-exchange", build, built, force=True, exchange=False),
        Scenario("build-resumed", build, begun),
        Scenario("build-begun-anew", build, begun_otherwise, force=True, resumes=False),
        Scenario("dictionary", with_dictionary),
        Scenario("export", export, exported, force=True, resumes=False),
        Scenario("mine", mined),
    )
