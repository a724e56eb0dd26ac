"""A file cut under a mapping is an error of the gather it happened in, and nobody dies of it."""

import faulthandler
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from engramctl.errors import FormatError, StorageError
from engramctl.storage import Store, catch_bus_errors, open_store
from engramctl.storage.io import pages
from engramctl.storage.io.mapped_rows import MappedRows
from engramctl.storage.io.watched_maps import FIRST_SLOT, SLOT_WORDS, SLOTS, WORDS, watch
from engramctl.storage.readers import open_files
from engramctl.storage.tiers import ssd
from engramctl.storage.tiers.by_address import gather_into
from engramctl.storage.tiers.ssd import SsdStore
from tests.conftest import ROOT
from tests.helpers.forked import in_child
from tests.helpers.small_bench import SMALL_BENCH
from tests.helpers.small_table import small_table
from tests.storage.tables import make_plan, write

ROWS = 20_011  # more than one thread gathers
IDS = np.arange(ROWS)
FEW = np.arange(ROWS - 48, ROWS)
LEFT = 8192
FILE = "layer01.records.000.safetensors"
MESSAGE = f"{FILE} was cut while it was open, or its disk failed"


@pytest.fixture(autouse=True)
def never_looked_at_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(open_files, "LOOK_AGAIN_NS", 1 << 62)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(make_plan(form="paged", rows={1: ROWS, 4: 500}, extent_bytes=1 << 20), tmp_path / "t")
    return tmp_path / "t"


@pytest.fixture
def store(folder: Path) -> Iterator[Store]:
    """Mapped, each page of it touched."""
    with open_store(folder, "ssd") as opened:
        for layer in opened.layers:
            opened.gather(layer, np.arange(opened.num_rows(layer)))
        yield opened


def caught(job: Callable[[], object]) -> Callable[[], bool]:
    """The job where SIGBUS is caught by us, and otherwise kills."""

    def run() -> bool:
        uncaught()
        catch_bus_errors()
        job()
        return True

    return run


def uncaught() -> None:
    faulthandler.disable()
    signal.signal(signal.SIGBUS, signal.SIG_DFL)


def cut(folder: Path) -> None:
    os.truncate(folder / FILE, LEFT)


def refused(store: Store, ids: Any, out: torch.Tensor | None = None) -> StorageError:
    with pytest.raises(StorageError) as told:
        store.gather(1, ids, out)
    return told.value


def test_a_file_cut_under_a_mapping_is_an_error_with_file_and_offset(
    store: Store, folder: Path
) -> None:
    size = (folder / FILE).stat().st_size

    def job() -> None:
        cut(folder)
        out = torch.full((len(FEW), store.row_dim), 7, dtype=store.dtype)
        error = refused(store, FEW, out)
        assert error.message == f"{folder / FILE}{MESSAGE.removeprefix(FILE)}"
        assert LEFT <= int(str(error.facts["offset"]).replace(",", "")) < size
        assert error.facts["size then"] == f"{size:,}"
        assert error.facts["size now"] == f"{LEFT:,}"
        assert error.hint
        assert "engramctl verify" in error.hint
        assert bool(out.isnan().all())  # no zeros that look like rows

    assert in_child(caught(job)) == 0


def test_a_broken_file_stays_refused_until_its_store_is_opened_again(
    store: Store, folder: Path
) -> None:
    whole = (folder / FILE).read_bytes()
    want = store.gather(1, FEW)

    def job() -> None:
        cut(folder)
        refused(store, FEW)
        (folder / FILE).write_bytes(whole)
        assert MESSAGE in refused(store, IDS[:3]).message
        with pytest.raises(StorageError, match="was cut"):
            store.prefetch({4: IDS[:3], 1: IDS[:3]})
        assert isinstance(store, SsdStore)
        with pytest.raises(StorageError, match="was cut"):
            store.populate()
        with open_store(folder, "ssd") as again:
            assert torch.equal(again.gather(1, FEW), want)

    assert in_child(caught(job)) == 0


def test_other_files_and_other_stores_go_on(store: Store, folder: Path, tmp_path: Path) -> None:
    write(make_plan(rows={1: 997}), tmp_path / "other")
    with open_store(tmp_path / "other", "ssd") as other:
        want = [other.gather(1, IDS[:900]), store.gather(4, IDS[:500])]

        def job() -> None:
            cut(folder)
            refused(store, FEW)
            assert torch.equal(other.gather(1, IDS[:900]), want[0])
            assert torch.equal(store.gather(4, IDS[:500]), want[1])

        assert in_child(caught(job)) == 0


def test_threads_that_fault_at_once_are_all_told(store: Store, folder: Path) -> None:
    told: list[str] = []
    ready = threading.Barrier(6)

    def gather(ids: Any) -> None:
        ready.wait(30)
        told.append(refused(store, ids).message)

    def job() -> None:
        cut(folder)
        threads = [threading.Thread(target=gather, args=(ids,)) for ids in [IDS, FEW] * 3]
        for one in threads:
            one.start()
        for one in threads:
            one.join(30)
        assert len(told) == 6
        assert all(MESSAGE in one for one in told)

    assert in_child(caught(job)) == 0


def test_a_forked_child_is_told_of_its_own_faults(store: Store, folder: Path) -> None:
    def job() -> None:
        def inner() -> bool:
            cut(folder)
            return MESSAGE in refused(store, FEW).message

        assert in_child(inner) == 0
        assert MESSAGE in refused(store, IDS).message

    assert in_child(caught(job)) == 0


def test_rows_are_discarded_whatever_else_is_wrong_with_them(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Zeros in the place of scales, say, would be told as the file's own fault."""

    def bad(*words: Any) -> None:
        gather_into(*words)
        raise FormatError("a scale is zero")

    monkeypatch.setattr(ssd, "gather_into", bad)

    def job() -> None:
        cut(folder)
        assert MESSAGE in refused(store, FEW).message

    assert in_child(caught(job)) == 0


def test_who_does_not_ask_dies_of_the_signal(store: Store, folder: Path) -> None:
    def job() -> bool:
        uncaught()
        cut(folder)
        store.gather(1, FEW)
        return True

    assert in_child(job) == -signal.SIGBUS


@pytest.mark.parametrize("since_5_14", [True, False])
def test_populate_and_residency_of_a_cut_file_raise_no_signal(
    store: Store, folder: Path, monkeypatch: pytest.MonkeyPatch, since_5_14: bool
) -> None:
    if not since_5_14:
        monkeypatch.setattr(pages, "_POPULATE_READ", 9999)

    def job() -> bool:
        uncaught()
        assert isinstance(store, SsdStore)
        store.populate()
        cut(folder)
        found = store.resident(1, FEW)
        assert found is not None
        assert found[0] == 0
        with pytest.raises(StorageError, match=f"{FILE} ended while it was read") as told:
            store.populate()
        return told.value.facts["offset"] == f"{LEFT:,}"

    assert in_child(job) == 0


def slots_taken() -> int:
    return int(np.count_nonzero(WORDS[FIRST_SLOT + 1 :: SLOT_WORDS]))


def test_a_mapping_is_covered_as_long_as_there_are_views_of_it(folder: Path) -> None:
    before = slots_taken()
    store = open_store(folder, "ssd")
    assert isinstance(store, SsdStore)
    assert isinstance(store.read, MappedRows)
    views = list(store.read.layers[1].rows.views)
    store.close()
    assert slots_taken() == before + 1

    def job() -> None:
        cut(folder)
        assert not views[0][-1]

    assert in_child(caught(job)) == 0
    views.clear()
    del store
    assert slots_taken() == before


def test_more_mappings_than_slots_are_served_but_not_covered(folder: Path) -> None:
    def job() -> None:
        held = [np.zeros(1, np.uint8) for _ in range(SLOTS + 1)]
        slots = [watch(one) for one in held]
        assert None in slots
        with open_store(folder, "ssd") as store:
            store.gather(1, IDS)
            held.clear()
            assert watch(np.zeros(1, np.uint8)) is not None
            cut(folder)
            store.gather(1, FEW)

    assert in_child(caught(job)) == -signal.SIGBUS


CUT_IN_FLIGHT = """
import os, sys
import engramctl.cli
from engramctl.storage.readers import open_files
from engramctl.storage.tiers import ssd

open_files.LOOK_AGAIN_NS = 1 << 62
honest, file = ssd.gather_into, sys.argv.pop()
def cutting(request, rows, out):
    if len(request.row_ids) and not out.isnan().all():
        os.truncate(file, 4096)
    return honest(request, rows, out)
ssd.gather_into = cutting
engramctl.cli.main()
"""


def test_a_command_whose_shard_is_cut_fails_with_the_message(tmp_path: Path) -> None:
    small_table(tmp_path / "t", tier="ssd")
    words = ["bench", tmp_path / "t", "--tier", "ssd", "--case", "gather", *SMALL_BENCH]
    done = subprocess.run(
        [sys.executable, "-c", CUT_IN_FLIGHT, *map(str, words), str(tmp_path / "t" / FILE)],
        capture_output=True, text=True, cwd=ROOT,
    )  # fmt: skip
    assert MESSAGE in done.stderr
    assert done.returncode == 1
    assert not done.stdout
