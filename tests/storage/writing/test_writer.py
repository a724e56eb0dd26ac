import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engramctl.errors import StorageError
from engramctl.storage.format.row_file import header_bytes
from engramctl.storage.reading.table import open_table
from engramctl.storage.writing.plan import SHARD_BYTES, default_shard_rows
from engramctl.storage.writing.writer import write_table
from tests.storage.tables import Stop, contents, make_plan, stop_after, write

FORMS = ["planar", "packed", "paged"]


@settings(max_examples=25, deadline=None)
@given(
    form=st.sampled_from(FORMS),
    dtype=st.sampled_from(["f8_e4m3", "bf16", "f32"]),
    rows=st.sampled_from([1, 2, 123, 124, 125, 997]),
    chunk_bytes=st.integers(1, 20_000),
    workers=st.integers(1, 5),
    shard_rows=st.sampled_from([124, 500, 1 << 20]),
)
def test_bytes_are_the_same_for_any_chunk_size_and_worker_count(
    tmp_path_factory: pytest.TempPathFactory,
    form: str,
    dtype: str,
    rows: int,
    chunk_bytes: int,
    workers: int,
    shard_rows: int,
) -> None:
    folder = tmp_path_factory.mktemp("same")
    plan = make_plan(form=form, dtype=dtype, rows={1: rows, 14: 7}, shard_rows=shard_rows)
    write(plan, folder / "once", workers=1)
    write(plan, folder / "cut", chunk_bytes=max(chunk_bytes, 200), workers=workers)
    assert contents(folder / "once") == contents(folder / "cut")


def test_a_failing_forced_write_keeps_the_old_table(tmp_path: Path) -> None:
    write(make_plan(seed=1), tmp_path / "out")
    before = contents(tmp_path / "out")
    with pytest.raises(Stop):
        write(make_plan(seed=2), tmp_path / "out", force=True, progress=stop_after(0))
    assert contents(tmp_path / "out") == before
    open_table(tmp_path / "out")
    write(make_plan(seed=2), tmp_path / "out", force=True)
    assert contents(tmp_path / "out") != before
    assert os.listdir(tmp_path) == ["out"]


def test_a_fill_that_fails_is_raised_and_nothing_is_published(tmp_path: Path) -> None:
    def fill(*_: object) -> None:
        raise Stop

    with pytest.raises(Stop):
        write_table(make_plan(), tmp_path / "out", fill)
    assert not (tmp_path / "out").exists()


def test_too_little_space_is_told_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    facts = os.statvfs(tmp_path)
    fields = list(facts)
    fields[4] = 1  # f_bavail
    monkeypatch.setattr(os, "statvfs", lambda _: os.statvfs_result(fields))
    with pytest.raises(StorageError, match="not enough space") as caught:
        write(make_plan(), tmp_path / "deep" / "out")
    assert caught.value.facts["found"] == f"{facts.f_frsize:,} bytes free"
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", ["f8_e4m3", "bf16", "f32"])
def test_predicted_sizes_are_the_real_ones(tmp_path: Path, form: str, dtype: str) -> None:
    plan = make_plan(form=form, dtype=dtype, rows={0: 313, 99: 1000}, shard_rows=400)
    write(plan, tmp_path / "out")
    real = {one.name: one.stat().st_size for one in (tmp_path / "out").iterdir()}
    assert real == plan.sizes


def test_memory_stays_flat(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A buffer a worker, whatever the size of the table."""
    made: list[int] = []
    empty = np.empty

    def counted(shape: int, *args: object) -> object:
        made.append(shape)
        return empty(shape, *args)  # type: ignore[call-overload]

    monkeypatch.setattr(np, "empty", counted)
    write(make_plan(rows={1: 20_000}), tmp_path / "out", chunk_bytes=4096, workers=3)
    assert sum(made) <= 3 * 4096


def test_header_bytes_are_golden() -> None:
    layout = make_plan(row_dim=256).layout
    header = header_bytes(layout, "weight", [384_006_168])
    text = b'{"weight":{"dtype":"F8_E4M3","shape":[384006168,256],"data_offsets":[0,98305579008]}}'
    assert header == (4088).to_bytes(8, "little") + text + b" " * (4088 - len(text))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("dtype", ["f8_e4m3", "bf16", "f32"])
def test_the_safetensors_library_reads_what_we_write(tmp_path: Path, form: str, dtype: str) -> None:
    from safetensors.torch import load_file

    plan = make_plan(form=form, dtype=dtype, row_dim=64, rows={1: 200}, shard_rows=128)
    write(plan, tmp_path / "out")
    for file in plan.files:
        path = tmp_path / "out" / file.name
        tensors = load_file(path)
        assert list(tensors) == [file.part]
        tensor = tensors[file.part]
        assert (
            tuple(tensor.shape) == plan.layout.tensor(file.part, file.row_stop - file.row_start)[1]
        )
        raw = tensor.contiguous().view(-1).view(dtype=__import__("torch").uint8)
        assert raw.numpy().tobytes() == path.read_bytes()[file.data_offset :]


def test_shards_of_all_forms_hold_the_same_rows_and_begin_on_pages() -> None:
    rows = {default_shard_rows(make_plan(form=form, row_dim=256).layout) for form in FORMS}
    assert len(rows) == 1
    count = rows.pop()
    assert count % (4096 * 15) == 0
    assert 0.98 < count * 264 / SHARD_BYTES <= 1
