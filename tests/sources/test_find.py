"""Which files a folder, a pattern and an exact name mean on this machine."""

import os
from pathlib import Path
from typing import Any

import pytest

from engramctl.sources.find import find_files
from tests.sources.files import HIDDEN, OURS, make, read, refused


@pytest.mark.parametrize("name", HIDDEN)
def test_what_other_programs_hide_is_left_out_by_folder_and_by_pattern_and_told(
    name: str, tmp_path: Path
) -> None:
    make(tmp_path, "a.parquet", "deep/b.parquet", name, "_SUCCESS", "_metadata", ".a.parquet.crc")
    for names in (tmp_path, f"{tmp_path}/**/*.parquet", f"{tmp_path}/**", f"{tmp_path}/*"):
        found = find_files([names])
        assert [Path(file.path).name for file in found.files] == ["a.parquet", "b.parquet"]
        if not str(names).endswith("/*"):
            assert found.left_out.startswith("left out Parquet file: 1 with a name or in a folder")


def test_how_many_are_left_out_and_why_is_one_line(tmp_path: Path) -> None:
    make(tmp_path, "a.parquet", "_t/1.parquet", "_t/2.parquet", "_t/note.txt", ".c.parquet")
    make(tmp_path, "c/manifest.json", content=OURS)
    make(tmp_path, "c/order1.parquet", "c/order2.parquet", "c.partial/order1.parquet")
    assert find_files([tmp_path, f"{tmp_path}/**/*.parquet"]).left_out == (
        "left out Parquet files: 3 in a folder that engramctl wrote, "
        "3 with a name or in a folder that begins with . or _"
    )
    assert find_files([tmp_path / "a.parquet"]).left_out == ""


def test_what_is_read_under_another_name_is_not_left_out(tmp_path: Path) -> None:
    make(tmp_path, ".store/a.parquet", ".store/b.parquet")
    (tmp_path / "z.parquet").symlink_to(tmp_path / ".store" / "a.parquet")
    found = find_files([tmp_path])
    assert [file.name for file in found.files] == ["z.parquet"]
    assert found.left_out.startswith("left out Parquet file: 1 with")
    (tmp_path / "visible").symlink_to(tmp_path / ".store")
    assert read(tmp_path) == ["visible/b.parquet", "z.parquet"]
    assert find_files([tmp_path]).left_out == ""


@pytest.mark.parametrize("pattern", ["{}/*/order1.parquet", "{}/c*/*.parquet", "{}/c/*.parquet"])
def test_a_pattern_does_not_find_what_engramctl_wrote(pattern: str, tmp_path: Path) -> None:
    make(tmp_path / "c", "manifest.json", content=OURS)
    make(tmp_path / "c", "order1.parquet")
    assert "in a folder that engramctl wrote" in refused(pattern.format(tmp_path))
    assert "in a folder that engramctl wrote" in refused(tmp_path / "c")
    assert read(tmp_path, tmp_path / "c" / "order1.parquet") == ["c/order1.parquet"]


def test_an_unfinished_folder_of_ours_is_left_out_when_it_is_named(tmp_path: Path) -> None:
    make(tmp_path / "c.partial", "state.json", content='{"schema": "engramctl.partial/1"}')
    make(tmp_path / "c.partial", "order1.parquet")
    assert "in a folder that engramctl wrote" in refused(tmp_path / "c.partial")
    assert read(tmp_path, tmp_path / "c.partial" / "order1.parquet") == ["c.partial/order1.parquet"]


def test_a_manifest_of_another_program_hides_nothing(tmp_path: Path) -> None:
    make(tmp_path, "sub/manifest.json", content='{"schema": "other/1", "by": "engramctl"}')
    make(tmp_path, "sub/a.parquet", "b/manifest.json/a.parquet")
    assert read(tmp_path) == ["b/manifest.json/a.parquet", "sub/a.parquet"]


def test_what_is_spelled_out_is_read_whatever_its_name(tmp_path: Path) -> None:
    make(tmp_path, "_x.parquet", ".y/_z.parquet", ".y/a.parquet", "run.partial/a.parquet")
    assert read(tmp_path, tmp_path / "_x.parquet") == ["_x.parquet"]
    assert read(tmp_path, tmp_path / ".y") == [".y/a.parquet"]
    assert read(tmp_path, f"{tmp_path}/.y/*.parquet") == [".y/a.parquet"]
    (tmp_path / "en").mkdir()
    assert read(tmp_path, f"{tmp_path}/*/../.y/a.parquet") == ["en/../.y/a.parquet"]
    assert read(tmp_path, f"{tmp_path}/.y/_*.parquet") == [".y/_z.parquet"]
    assert read(tmp_path, f"{tmp_path}/.*/*.parquet") == [".y/a.parquet"]
    assert read(tmp_path, f"{tmp_path}/.y/**") == [".y/a.parquet"]
    assert read(tmp_path, tmp_path / "run.partial") == ["run.partial/a.parquet"]
    assert "name the files themselves" in refused(tmp_path)


def test_partitions_and_capital_suffixes_are_read(tmp_path: Path) -> None:
    names = ("PART-0.PARQUET", "_lang=en/a.parquet", "key=value/b.Parquet")
    make(tmp_path, *names, "a.parquet.gz", "b.parquet.crc")
    assert read(tmp_path) == [*names]
    assert read(tmp_path, f"{tmp_path}/**/*.parquet") == [*names]
    assert read(tmp_path, f"{tmp_path}/*=*/*") == [*names[1:]]


def test_a_folder_that_a_pattern_matches_is_read_as_one(tmp_path: Path) -> None:
    make(tmp_path, "x.parquet/part-0.parquet", "x.parquet/sub/_SUCCESS", "y/deep/z.parquet")
    assert read(tmp_path, f"{tmp_path}/*.parquet") == ["x.parquet/part-0.parquet"]
    assert read(tmp_path, f"{tmp_path}/*") == ["x.parquet/part-0.parquet", "y/deep/z.parquet"]
    assert read(tmp_path, f"{tmp_path}/y/**/d*") == ["y/deep/z.parquet"]
    assert read(tmp_path) == read(tmp_path, f"{tmp_path}/**/*.parquet")


def test_files_are_sorted_by_folder_and_then_by_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names = ["a/x.parquet", "a-b/x.parquet", "a.parquet", "b.parquet"]
    make(tmp_path, *reversed(names))
    assert read(tmp_path) == read(tmp_path, f"file://{tmp_path}/*") == names
    monkeypatch.chdir(tmp_path)
    for name in (".", "*", "./**/*.parquet"):
        assert [file.path for file in find_files([name]).files] == names


@pytest.mark.parametrize("name", ["br[1]", "st*r", "qu?", "br[[]1]"])
def test_a_local_name_with_the_signs_of_a_pattern_is_exact(name: str, tmp_path: Path) -> None:
    make(tmp_path, f"{name}/{name}.parquet", f"{name}/{name}x.parquet", "br1/br1.parquet")
    make(tmp_path, "star/star.parquet", "quo/quo.parquet", "br[1]/br[1].parquet")
    file = f"{name}/{name}.parquet"
    assert read(tmp_path, tmp_path / name / f"{name}.parquet") == [file]
    assert read(tmp_path, f"file://{tmp_path}/{file}") == [file]
    assert read(tmp_path, tmp_path / name) == [file, f"{name}/{name}x.parquet"]
    assert read(tmp_path, f"{tmp_path}/{name}/*x.parquet") == [f"{name}/{name}x.parquet"]


def test_brackets_are_a_pattern_where_no_such_name_exists(tmp_path: Path) -> None:
    make(tmp_path, "br1/a.parquet", "br2/a.parquet", "br3/a.parquet")
    assert read(tmp_path, f"{tmp_path}/br[12]/a.parquet") == ["br1/a.parquet", "br2/a.parquet"]


def test_linked_folders_are_read_once_and_circles_end(tmp_path: Path) -> None:
    root, other = make(tmp_path / "root", "a.parquet"), make(tmp_path / "other", "b.parquet")
    (root / "more").symlink_to(other)
    (root / "again").symlink_to(other)
    (other / "back").symlink_to(root)
    (other / "self").symlink_to(".")
    (root / "up").symlink_to(tmp_path)
    expected = ["a.parquet", "again/b.parquet"]
    assert read(root) == expected
    assert read(root, f"{root}/**/*.parquet") == expected
    assert read(root, root, f"{root}/*", root / "more", f"{root}/again/b.parquet") == expected
    assert read(root, f"{root}/**/**/*.parquet") == expected


def test_many_links_in_circles_are_no_more_work_than_the_folders(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(12):
        make(tmp_path, f"f{number}/a.parquet")
        for other in range(12):
            (tmp_path / f"f{number}" / f"to{other}").symlink_to(tmp_path / f"f{other}")
    listed: list[str] = []
    scandir = os.scandir

    def counted(path: str) -> Any:
        listed.append(path)
        assert len(listed) <= 13
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counted)
    for name in (tmp_path, f"{tmp_path}/**/*.parquet"):
        listed.clear()
        assert read(tmp_path, name) == [f"f{n}/a.parquet" for n in sorted(range(12), key=str)]
        assert len(listed) == 13


def test_a_name_that_is_not_utf8_is_found_by_every_way(tmp_path: Path) -> None:
    folder = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9")
    os.mkdir(folder)
    Path(folder, os.fsdecode(b"\xff.parquet")).touch()
    for name in (tmp_path, folder, f"{tmp_path}/*/*.parquet", f"{folder}/*\udcff*"):
        [file] = find_files([name]).files
        assert file.url == f"{tmp_path}/caf\\xe9/\\xff.parquet"
        assert file.name == "\\xff.parquet"
        with file.open() as stream:
            assert stream.read() == b""
    refused(f"{folder}/none").encode()
    refused(f"{folder}/*none").encode()
