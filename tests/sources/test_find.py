"""Which files a folder, a pattern and an exact name mean; nothing vanishes without a word."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import fsspec
import pytest

from engramctl.errors import CorpusError
from engramctl.sources import Found, find_files
from tests.rights import closed

HIDDEN = (
    "_temporary/0/part-0.parquet",
    ".ipynb_checkpoints/part-0-checkpoint.parquet",
    ".part-0.parquet",
    "_part-0.parquet",
    "._part-0.parquet",
    ".part.PARQUET",
    "_delta_log/00000000000000000010.checkpoint.parquet",
    "deep/.hidden/more/part-0.parquet",
    "key=value/_committed/part-0.parquet",
    ".git/_x/part-0.parquet",
)
OURS = '{\n "schema": "engramctl.counts/1"'


def make(root: Path, *names: str, content: str = "") -> Path:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(content)
    return root


def read(root: Path, *names: str | Path, **options: Any) -> list[str]:
    """Find files; return their paths below `root`."""
    found = find_files(names or [root], **options)
    return [str(Path(file.path).relative_to(root)) for file in found.files]


def refused(*names: str | Path) -> str:
    with pytest.raises(CorpusError) as caught:
        find_files(names)
    assert caught.value.hint
    return caught.value.render()


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


def by_folder_pattern_and_name(root: Path, name: str) -> Iterator[str | Path]:
    yield root
    yield f"{root}/*.parquet"
    yield f"{root}/**/*.parquet"
    yield root / name


def test_a_link_to_nothing_is_named_or_left_out_and_listed(tmp_path: Path) -> None:
    make(tmp_path, "a.parquet")
    (tmp_path / "zeta.parquet").symlink_to("/nowhere/zeta.parquet")
    for name in by_folder_pattern_and_name(tmp_path, "zeta.parquet"):
        words = refused(tmp_path / "a.parquet", name)
        assert f"{tmp_path}/zeta.parquet leads to nothing" in words
        assert "a link to /nowhere/zeta.parquet" in words
        found = find_files([tmp_path / "a.parquet", name], skip_bad_files=True)
        assert [file.name for file in found.files] == ["a.parquet"]
        assert [str(file) for file, _ in found.bad] == [f"{tmp_path}/zeta.parquet"]


def test_a_link_to_nothing_may_have_been_a_folder(tmp_path: Path) -> None:
    make(tmp_path, "a.parquet", "b/part-0.parquet")
    (tmp_path / "y2024").symlink_to(tmp_path / "unmounted")
    (tmp_path / "circle").symlink_to(tmp_path / "circle")
    for name in (tmp_path, f"{tmp_path}/**/*.parquet", f"{tmp_path}/*/part-0.parquet"):
        found = find_files([name], skip_bad_files=True)
        assert sorted(file.name for file, _ in found.bad) == ["circle", "y2024"]
        assert "leads to nothing" in refused(name)
    assert read(tmp_path, f"{tmp_path}/*.parquet") == ["a.parquet"]


def test_hidden_links_to_nothing_are_nobodys_files(tmp_path: Path) -> None:
    make(tmp_path, "a.parquet")
    (tmp_path / ".#a.parquet").symlink_to("user@host.1234")
    assert read(tmp_path) == ["a.parquet"]


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
        return scandir(path)

    monkeypatch.setattr(os, "scandir", counted)
    for name in (tmp_path, f"{tmp_path}/**/*.parquet"):
        listed.clear()
        assert read(tmp_path, name) == [f"f{n}/a.parquet" for n in sorted(range(12), key=str)]
        assert len(listed) == 13


@pytest.mark.parametrize("mode", [0, 0o100, 0o200, 0o400])
def test_a_folder_one_may_not_list_or_enter_is_named_or_left_out_and_listed(
    mode: int, tmp_path: Path
) -> None:
    make(tmp_path, "a.parquet", "shut/b.parquet", "shut/c/d.parquet")
    with closed(tmp_path / "shut", mode):
        for name in (tmp_path, f"{tmp_path}/**/*.parquet", f"{tmp_path}/*"):
            assert f"{tmp_path}/shut" in refused(name)
            assert "Permission denied" in refused(name)
            found = find_files([name], skip_bad_files=True)
            assert [file.name for file in found.files if "shut" not in file.url] == ["a.parquet"]
            assert [file.url for file, _ in found.bad][-1].startswith(f"{tmp_path}/shut")
        if not mode & 0o100:
            for name in (tmp_path / "shut" / "b.parquet", f"{tmp_path}/shut/c/*.parquet"):
                assert "Permission denied" in refused(name)


def test_a_hidden_folder_one_may_not_list_is_no_error(tmp_path: Path) -> None:
    make(tmp_path, "a.parquet", ".Trash/b.parquet")
    with closed(tmp_path / ".Trash"):
        assert read(tmp_path) == ["a.parquet"]


def test_a_pipe_is_named_or_left_out_and_listed(tmp_path: Path) -> None:
    make(tmp_path, "a.parquet")
    os.mkfifo(tmp_path / "p.parquet")
    for name in by_folder_pattern_and_name(tmp_path, "p.parquet"):
        assert "p.parquet is not a file" in refused(name)
    os.mkfifo(tmp_path / "log")
    assert read(tmp_path, tmp_path, skip_bad_files=True) == ["a.parquet"]


def test_names_too_long_and_empty_names_are_clear_errors(tmp_path: Path) -> None:
    for name in ("n" * 300, tmp_path / ("n" * 300) / "a.parquet", f"/{'d/' * 3000}x"):
        assert "File name too long" in refused(name)
    assert "no file matches" in refused(f"{tmp_path}/{'[n]' * 100}")
    for name in ("", "file://"):
        assert "is empty" in refused(name)


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


@pytest.fixture
def memory() -> Iterator[Any]:
    system = fsspec.filesystem("memory")
    yield system
    system.store.clear()
    system.pseudo_dirs[:] = [""]


def urls(found: Found) -> list[str]:
    return [file.url.removeprefix("memory://b/") for file in found.files]


def test_the_rule_is_the_same_for_remote_systems(memory: Any) -> None:
    seen = ["PART.PARQUET", "_lang=en/a.parquet", "br1/a.parquet", "br[1]/a.parquet"]
    for name in (*HIDDEN, *seen, "_SUCCESS", "c/order1.parquet", "c.partial/order1.parquet"):
        memory.pipe(f"/b/{name}", b"")
    memory.pipe("/b/c/manifest.json", OURS.encode())
    found = find_files(["memory://b"])
    assert urls(found) == seen
    assert found.left_out == (
        "left out Parquet files: 2 in a folder that engramctl wrote, "
        "10 with a name or in a folder that begins with . or _"
    )
    assert urls(find_files(["memory://b/**/*.parquet"])) == seen
    assert urls(find_files(["memory://b/_part-0.parquet"])) == ["_part-0.parquet"]
    assert urls(find_files(["memory://b/.git/_x/*.parquet"])) == [".git/_x/part-0.parquet"]
    assert urls(find_files(["memory://b/br[1]/a.parquet"])) == ["br[1]/a.parquet"]
    assert urls(find_files(["memory://b/br[1]/*.parquet"])) == ["br[1]/a.parquet"]
    assert urls(find_files(["memory://b/br[12]/*.parquet"])) == ["br1/a.parquet"]
    assert urls(find_files(["memory://b/c/order1.parquet"])) == ["c/order1.parquet"]
    assert "engramctl wrote" in refused("memory://b/*/order1.parquet")
    assert "no file matches" in refused("memory://b/none.parquet")


def test_a_remote_folder_that_cannot_be_listed_is_named_or_left_out_and_listed(
    memory: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("a.parquet", "shut/b.parquet"):
        memory.pipe(f"/b/{name}", b"")
    ls = type(memory).ls

    def refuse(self: Any, path: str, **options: Any) -> Any:
        if path.endswith("shut"):
            raise PermissionError("AccessDenied")
        return ls(self, path, **options)

    monkeypatch.setattr(type(memory), "ls", refuse)
    for name in ("memory://b", "memory://b/**/*.parquet"):
        assert "AccessDenied" in refused(name)
        found = find_files([name], skip_bad_files=True)
        assert urls(found) == ["a.parquet"]
        assert [file.url for file, _ in found.bad] == ["memory://b/shut"]
