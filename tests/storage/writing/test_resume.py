"""Interrupted writes: what is finished stays, and the end is the same, byte for byte."""

import contextlib
import errno
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engramctl.errors import ConfigError, StorageError
from engramctl.storage.format.row_file import file_name
from engramctl.storage.writing.file_plan import FilePlan
from engramctl.storage.writing.plan import TablePlan
from engramctl.storage.writing.seeded_values import RowInit
from engramctl.storage.writing.writer import write_table
from tests.conftest import ROOT
from tests.storage.tables import Stop, contents, make_plan, stop_after, write

FORMS = ["planar", "packed", "paged"]


@pytest.mark.parametrize("form", FORMS)
def test_a_build_goes_on_from_every_interruption_point(tmp_path: Path, form: str) -> None:
    plan = make_plan(form=form, rows={1: 997, 3: 130}, shard_rows=620, extent_bytes=4096)
    write(plan, tmp_path / "whole")
    expected = contents(tmp_path / "whole")
    chunks = 0
    done = False
    while not done:
        out = tmp_path / f"out{chunks}"
        try:
            write(plan, out, chunk_bytes=3000, workers=2, progress=stop_after(chunks))
            done = True
        except Stop:
            assert not out.exists()
            # go on, be interrupted once more, then finish with other chunks and threads
            with contextlib.suppress(Stop):
                write(plan, out, resume=True, chunk_bytes=2000, progress=stop_after(1))
            if not out.exists():
                write(plan, out, resume=True, chunk_bytes=5000, workers=3)
        assert contents(out) == expected
        chunks += 1
    assert chunks > 10


def test_resume_writes_only_what_is_missing(tmp_path: Path) -> None:
    plan = make_plan(rows={1: 4096})
    with pytest.raises(Stop):
        write(plan, tmp_path / "out", chunk_bytes=4096, progress=stop_after(20))
    amounts: list[int] = []
    write(plan, tmp_path / "out", resume=True, chunk_bytes=4096, progress=amounts.append)
    total = sum(file.data_bytes for file in plan.files)
    assert amounts[0] >= 18 * 4096
    assert sum(amounts) == total


def interrupted(plan: TablePlan, out: Path) -> tuple[Path, list[Any]]:
    """Stop a build half way; return its first file, and the extents its state says are done."""
    with pytest.raises(Stop):
        write(plan, out, chunk_bytes=4096, workers=1, progress=stop_after(12))
    partial = out.with_name(out.name + ".partial")
    name = file_name(1, "weight", 0)
    found = json.loads((partial / "state.json").read_bytes())["files"][name]
    assert sum(one is not None for one in found) >= 8
    return partial / name, found


@pytest.mark.parametrize("damage", ["flip", "cut", "longer", "remove", "header"])
def test_resume_does_not_believe_a_damaged_partial(tmp_path: Path, damage: str) -> None:
    plan = make_plan(rows={1: 4096})
    write(plan, tmp_path / "whole")
    file, extents = interrupted(plan, tmp_path / "out")
    last = max(index for index, extent in enumerate(extents) if extent is not None)
    data = bytearray(file.read_bytes())
    if damage == "flip":
        data[4096 + last * 4096 + 5] ^= 1
    elif damage == "cut":
        data = data[: 4096 + last * 4096 + 9]
    elif damage == "longer":
        data += bytes(1 << 20)
    elif damage == "header":
        data[20] ^= 1
    if damage == "remove":
        file.unlink()
    else:
        file.write_bytes(data)
    write(plan, tmp_path / "out", resume=True)
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


@pytest.mark.parametrize("damage", ["state", "link"])
@pytest.mark.parametrize("force", [False, True])
def test_a_partial_that_is_not_ours_any_more_is_left_alone(
    tmp_path: Path, damage: str, force: bool
) -> None:
    plan = make_plan(rows={1: 4096})
    file, _ = interrupted(plan, tmp_path / "out")
    if damage == "state":
        (file.parent / "state.json").write_text('{"plan": nul')
    else:
        file.rename(tmp_path / "mine")
        file.symlink_to(tmp_path / "mine")
    before = contents(file.parent)
    with pytest.raises(ConfigError):
        write(plan, tmp_path / "out", resume=not force, force=force)
    assert contents(file.parent) == before


def test_after_a_failed_sync_every_extent_is_looked_at_again(tmp_path: Path) -> None:
    plan = make_plan(rows={1: 4096})
    write(plan, tmp_path / "whole")
    file, _ = interrupted(plan, tmp_path / "out")
    state = json.loads((file.parent / "state.json").read_bytes())
    (file.parent / "state.json").write_text(json.dumps({**state, "suspect": True}))
    data = bytearray(file.read_bytes())
    data[4096 + 5] ^= 1  # in the first extent, which is believed without that word
    file.write_bytes(data)
    amounts: list[int] = []
    write(plan, tmp_path / "out", resume=True, progress=amounts.append)
    assert amounts[0] >= 7 * 4096
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_resume_with_other_options_is_refused_and_says_which(tmp_path: Path) -> None:
    with pytest.raises(Stop):
        write(make_plan(), tmp_path / "out", chunk_bytes=4096, progress=stop_after(3))
    before = contents(tmp_path / "out.partial")
    with pytest.raises(ConfigError, match="other options") as caught:
        write(make_plan(dtype="bf16"), tmp_path / "out", resume=True)
    assert caught.value.facts["layout.dtype"] == "f8_e4m3 there, bf16 now"
    assert contents(tmp_path / "out.partial") == before


KILLED = """
import json, os, signal, sys
from pathlib import Path
from tests.storage.tables import make_plan, write
state = Path(sys.argv[1] + ".partial", "state.json")
left = [9]
def progress(amount):
    left[0] -= 1
    while left[0] < 0:
        if json.loads(state.read_bytes()).get("files"):  # another thread syncs and saves
            os.kill(os.getpid(), signal.SIGKILL)
write(make_plan(rows={1: 4096}), Path(sys.argv[1]), chunk_bytes=4096, checkpoint_bytes=8192,
      progress=progress)
"""


def test_a_killed_build_leaves_only_a_partial_and_resumes(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-c", KILLED, tmp_path / "out"], cwd=ROOT, check=False, timeout=60
    )
    assert done.returncode == -signal.SIGKILL
    assert os.listdir(tmp_path) == ["out.partial"]
    amounts: list[int] = []
    plan = make_plan(rows={1: 4096})
    write(plan, tmp_path / "out", resume=True, progress=amounts.append)
    write(plan, tmp_path / "whole")
    assert amounts[0] >= 4096
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_a_disk_that_fills_up_is_one_error_and_the_work_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.pwrite
    left = [5]

    def fills_up(descriptor: int, data: bytes, offset: int) -> int:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return real(descriptor, data[:1000], offset)  # short writes are completed

    plan = make_plan(rows={1: 4096})
    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", fills_up)
        with pytest.raises(StorageError, match="No space left") as caught:
            write(plan, tmp_path / "out", chunk_bytes=4096)
    assert "free space" in (caught.value.hint or "")
    write(plan, tmp_path / "out", resume=True)
    write(plan, tmp_path / "whole")
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")


def test_zeros_and_normal_do_not_resume_each_other(tmp_path: Path) -> None:
    from dataclasses import replace

    plan = replace(make_plan(), identity_extra={"init": "normal"})
    with pytest.raises(Stop):
        write(plan, tmp_path / "out", chunk_bytes=4096, progress=stop_after(3))
    other = replace(plan, identity_extra={"init": "zeros"})
    with pytest.raises(ConfigError, match="other options"):
        write(other, tmp_path / "out", init=RowInit("zeros"), resume=True)


def test_remarks_come_once_in_order_whatever_run_made_them(tmp_path: Path) -> None:
    plan = make_plan(form="packed", rows={1: 997, 3: 130}, shard_rows=620)

    def fill(file: FilePlan, row: int, num_rows: int, data: NDArray[np.uint8]) -> list[int]:
        data[:] = 0
        return [file.layer, row, num_rows]

    def run(out: Path, **options: Any) -> list[list[int]]:
        found: list[list[int]] = []
        write_table(plan, out, fill, chunk_bytes=700, remark=found.append, **options)
        return found

    whole = run(tmp_path / "whole", workers=1)
    assert whole == sorted(whole)
    assert sum(rows for _, _, rows in whole) == 997 + 130
    for chunks in (0, 5, 20):
        out = tmp_path / str(chunks)
        with pytest.raises(Stop):
            run(out, progress=stop_after(chunks))
        assert run(out, resume=True, workers=3) == whole
