"""Syncs beside the work: what one made safe is saved; after a failed one nothing is believed."""

import errno
import json
import os
import threading
from pathlib import Path

import pytest

from engramctl.errors import StorageError
from engramctl.storage.writing.written_extents import Written
from tests.storage.tables import contents, make_plan, write


def test_state_is_saved_while_the_work_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved = threading.Event()
    sync = Written.sync

    def told(self: Written) -> None:
        sync(self)
        saved.set()

    monkeypatch.setattr(Written, "sync", told)
    chunks: list[int] = []

    def progress(amount: int) -> None:
        chunks.append(amount)
        if len(chunks) == 20:  # of 33
            assert saved.wait(60)

    write(
        make_plan(rows={1: 4096}),
        tmp_path / "out",
        checkpoint_bytes=4096,
        chunk_bytes=4096,
        progress=progress,
    )
    assert len(chunks) > 20


def test_a_sync_that_fails_ends_the_run_and_what_is_saved_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left = [1]
    real = os.fdatasync

    def fails(descriptor: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        real(descriptor)

    plan = make_plan(rows={1: 4096})
    with monkeypatch.context() as patch:
        patch.setattr(os, "fdatasync", fails)
        with pytest.raises(StorageError, match="Input/output error"):
            write(plan, tmp_path / "out", checkpoint_bytes=4096, chunk_bytes=4096)
    assert not (tmp_path / "out").exists()
    write(plan, tmp_path / "out", resume=True)
    write(plan, tmp_path / "whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_what_comes_while_a_sync_fails_is_believed_by_no_later_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written, failed = threading.Event(), threading.Event()

    def fails_once(descriptor: int) -> None:
        if not failed.is_set():
            assert written.wait(60)
            failed.set()
            raise OSError(errno.EIO, os.strerror(errno.EIO))

    chunks: list[int] = []

    def progress(amount: int) -> None:
        chunks.append(amount)
        if len(chunks) == 20:  # of 33; the first sync runs since the second
            written.set()

    monkeypatch.setattr(os, "fdatasync", fails_once)
    with pytest.raises(StorageError, match="Input/output error"):
        write(
            make_plan(rows={1: 4096}),
            tmp_path / "out",
            checkpoint_bytes=4096,
            chunk_bytes=4096,
            workers=1,
            progress=progress,
        )
    state = json.loads((tmp_path / "out.partial" / "state.json").read_bytes())
    assert state["files"] == {}
    assert state["suspect"] is True
