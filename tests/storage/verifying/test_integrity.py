from pathlib import Path

import pytest

from engramctl.errors import CheckFailed, FormatError
from engramctl.storage.verifying.integrity import verify
from tests.storage.tables import make_plan, write


@pytest.mark.parametrize("form", ["planar", "packed", "paged"])
def test_every_flipped_byte_is_found_and_named(tmp_path: Path, form: str) -> None:
    plan = make_plan(form=form, rows={1: 300, 2: 5}, extent_bytes=4096)
    write(plan, tmp_path / "table")
    for file in plan.files:
        path = tmp_path / "table" / file.name
        good, extent = path.read_bytes(), file.extent_bytes
        for at in {0, 30, 4095, 4096, 8191, 8192, len(good) - 1}:
            if at >= len(good):
                continue
            path.write_bytes(good[:at] + bytes([good[at] ^ 64]) + good[at + 1 :])
            with pytest.raises(CheckFailed) as caught:
                verify(tmp_path / "table")
            assert caught.value.exit_code == 3
            assert caught.value.facts["file"] == path
            if at >= 4096:
                begin = 4096 + (at - 4096) // extent * extent
                assert f"offset {begin:,}" in caught.value.message
        path.write_bytes(good)
    report = verify(tmp_path / "table", workers=3)
    assert report.num_bytes == sum(file.data_bytes for file in plan.files)
    assert report.num_extents == sum(file.num_extents for file in plan.files)


def test_the_first_bad_extent_is_named_whatever_thread_finds_one(tmp_path: Path) -> None:
    plan = make_plan(rows={1: 5000}, extent_bytes=4096)
    write(plan, tmp_path / "table")
    path = tmp_path / "table" / plan.files[0].name
    data = bytearray(path.read_bytes())
    for at in (20_000, 90_000, 150_000):
        data[at] ^= 1
    path.write_bytes(data)
    with pytest.raises(CheckFailed, match="offset 16,384") as caught:
        verify(tmp_path / "table", workers=4)
    assert "engramctl build" in (caught.value.hint or "")


def test_a_cut_file_fails_the_check_and_an_unfinished_folder_cannot_be_checked(
    tmp_path: Path,
) -> None:
    plan = make_plan()
    write(plan, tmp_path / "table")
    path = tmp_path / "table" / plan.files[0].name
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(CheckFailed, match="1 bytes short"):
        verify(tmp_path / "table")
    (tmp_path / "table").rename(tmp_path / "table.partial")
    with pytest.raises(FormatError, match="unfinished"):
        verify(tmp_path / "table.partial")
