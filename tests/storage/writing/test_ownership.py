"""Whose is a folder? Nothing is emptied, replaced or published that somebody else put there."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from engramctl.errors import ConfigError, StorageError
from engramctl.storage.files import atomic
from engramctl.storage.files.held_folder import HeldFolder
from engramctl.storage.writing.ownership import Maker, check_target
from engramctl.storage.writing.partial_folder import PartialDirectory
from tests.storage.writing.publishing import MAKER, MANIFEST, fail_with_state, publish


def files(folder: Path) -> dict[str, str]:
    return {
        str(one.relative_to(folder)): one.read_text()
        for one in sorted(folder.rglob("*"))
        if one.is_file()
    }


STRANGERS = {
    "no state": {"thesis.tex": "years of work", "deep/figure": "."},
    "files named as ours": {"data": "years of work"},
    "an older state": {"state.json": '{"command": "build", "resumable": true}', "data": "half"},
    "a newer state": {"state.json": '{"schema": "engramctl.state/2", "command": "build"}'},
    "another command": {
        "state.json": '{"schema": "engramctl.state/1", "command": "mine"}',
        "data": "half",
    },
    "another command, just begun": {
        "state.json": '{"schema": "engramctl.state/1", "command": "mine"}'
    },
    "a state of another kind": {"state.json": "[" * 100_000},
    "a finished folder of ours": {"manifest.json": '{"schema": "engramctl.test/1"}', "data": "1"},
    "a file in ours": {
        "state.json": '{"schema": "engramctl.state/1", "command": "build"}',
        "data": "half",
        "notes.txt": "precious",
    },
    "a folder in ours": {
        "state.json": '{"schema": "engramctl.state/1", "command": "build", "done": 3}',
        "deep/notes.txt": "precious",
    },
}


@pytest.mark.parametrize("options", [{}, {"resume": True}, {"force": True}], ids=str)
@pytest.mark.parametrize("link", [False, True], ids=["folder", "link"])
@pytest.mark.parametrize("stranger", STRANGERS)
def test_a_partial_folder_of_a_stranger_is_refused_and_left_as_it_is(
    tmp_path: Path, stranger: str, link: bool, options: dict[str, Any]
) -> None:
    home = tmp_path / ("home" if link else "out.partial")
    for name, text in STRANGERS[stranger].items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    if link:
        (tmp_path / "out.partial").symlink_to(home)
    before = files(tmp_path)
    with pytest.raises(ConfigError) as caught:
        publish(tmp_path / "out", "new", **options)
    assert "out.partial" in caught.value.message
    assert caught.value.hint
    assert files(tmp_path) == before
    assert (tmp_path / "out.partial").is_symlink() == link


def test_the_files_of_a_stranger_are_named(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        fail_with_state(tmp_path / "out")
    (tmp_path / "out.partial" / "notes\x1b.txt").write_text("precious")
    with pytest.raises(ConfigError, match="did not write") as caught:
        publish(tmp_path / "out", "new", resume=True)
    assert caught.value.facts["found"] == r"notes\x1b.txt"


@pytest.mark.parametrize("names", [(), (".state.json.0123abcd.new",)])
def test_a_kill_before_the_first_state_leaves_a_folder_that_anybody_may_take(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    (tmp_path / "out.partial").mkdir()
    for name in names:
        (tmp_path / "out.partial" / name).write_text('{"sche')
    publish(tmp_path / "out", "new")
    assert files(tmp_path).keys() == {"out/data", "out/manifest.json"}


@pytest.mark.parametrize("options", [{}, {"resume": True}, {"force": True}], ids=str)
@pytest.mark.parametrize("state", [None, '{"schema": "engramctl.state/1", "command": "build"}'])
def test_a_link_is_never_followed_whatever_it_leads_to(
    tmp_path: Path, state: str | None, options: dict[str, Any]
) -> None:
    (tmp_path / "home").mkdir()
    if state is not None:
        (tmp_path / "home" / "state.json").write_text(state)
    (tmp_path / "out.partial").symlink_to(tmp_path / "home")
    with pytest.raises(ConfigError, match="left alone") as caught:
        check_target(tmp_path / "out", MAKER, **options)
    assert caught.value.facts["found"] == "a link"


def test_a_link_that_leads_nowhere_is_not_taken(tmp_path: Path) -> None:
    (tmp_path / "out.partial").symlink_to(tmp_path / "home")
    with pytest.raises(ConfigError, match="left alone"):
        publish(tmp_path / "out", "new")
    assert os.listdir(tmp_path) == ["out.partial"]


def test_what_a_stranger_puts_into_the_work_is_not_published(tmp_path: Path) -> None:
    with PartialDirectory(tmp_path / "out", MAKER) as work:
        (work.path / "data").write_text("new")
        work.save_state({"done": 3})
        (work.path / "notes.txt").write_text("precious")
        with pytest.raises(ConfigError, match="did not write") as caught:
            work.publish(MANIFEST, ["data"])
    assert caught.value.facts["found"] == "notes.txt"
    assert sorted(os.listdir(tmp_path)) == ["out.partial"]
    (tmp_path / "out.partial" / "notes.txt").rename(tmp_path / "notes.txt")
    with PartialDirectory(tmp_path / "out", MAKER, resume=True) as work:
        assert work.state is not None
        work.publish(MANIFEST, ["data"])


def test_work_that_cannot_go_on_is_removed_but_for_the_files_of_a_stranger(tmp_path: Path) -> None:
    with PartialDirectory(tmp_path / "out", Maker("export", "data", resumable=False)) as work:
        (work.path / "data").write_text("half")
        (work.path / "notes.txt").write_text("precious")
    assert files(tmp_path).keys() == {"out.partial/notes.txt", "out.partial/state.json"}


def test_what_is_published_is_what_is_named_no_file_more_or_less(tmp_path: Path) -> None:
    with PartialDirectory(tmp_path / "out", MAKER) as work:
        (work.path / "data").write_text("new")
        (work.path / "more").write_text("left by an earlier run")
        (work.path / "deep").mkdir()
        (work.path / "deep" / "data").write_text("and this")
        with pytest.raises(StorageError, match="lacks files") as caught:
            work.publish(MANIFEST, ["data", "deeper/data"])
        assert caught.value.facts["missing"] == "deeper/, deeper/data"
        work.publish(MANIFEST, ["data"])
    assert sorted(os.listdir(tmp_path / "out")) == ["data", "manifest.json"]


def test_a_finished_folder_with_files_of_a_stranger_is_not_replaced(tmp_path: Path) -> None:
    publish(tmp_path / "out", "old")
    (tmp_path / "out" / "config.json").write_text("{}")
    with pytest.raises(ConfigError, match="did not write") as caught:
        publish(tmp_path / "out", "new", force=True)
    assert caught.value.facts["found"] == "config.json"
    assert files(tmp_path / "out").keys() == {"config.json", "data", "manifest.json"}


def test_a_finished_folder_that_appears_while_a_run_works_is_not_replaced(tmp_path: Path) -> None:
    with PartialDirectory(tmp_path / "out", MAKER) as work:
        (work.path / "data").write_text("mine")
        publish(tmp_path / "other", "theirs")
        (tmp_path / "other").rename(tmp_path / "out")
        with pytest.raises(StorageError, match="while this run worked"):
            work.publish(MANIFEST, ["data"])
    assert (tmp_path / "out" / "data").read_text() == "theirs"
    assert (tmp_path / "out.partial" / "data").read_text() == "mine"


def test_a_second_run_cannot_come_between_while_the_old_folder_is_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path / "out", "old")
    unlink, tried = os.unlink, []

    def second_run(name: str, **options: Any) -> None:
        if name == "data":
            monkeypatch.setattr(os, "unlink", unlink)
            with pytest.raises(StorageError, match="another process"):
                publish(tmp_path / "out", "second", force=True)
            tried.append(name)
        unlink(name, **options)

    monkeypatch.setattr(os, "unlink", second_run)
    publish(tmp_path / "out", "new", force=True)
    assert tried
    assert files(tmp_path).keys() == {"out/data", "out/manifest.json"}
    assert (tmp_path / "out" / "data").read_text() == "new"


def test_a_folder_that_gets_the_name_of_the_old_one_is_not_removed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path / "out", "old")
    remove = HeldFolder.remove

    def renamed(self: HeldFolder, *words: Any, **options: Any) -> None:
        remove(self, *words, **options)
        if not self.names():
            (tmp_path / "out.partial").rename(tmp_path / "elsewhere")
            (tmp_path / "out.partial").mkdir()

    monkeypatch.setattr(HeldFolder, "remove", renamed)
    publish(tmp_path / "out", "new", force=True)
    assert sorted(os.listdir(tmp_path)) == ["elsewhere", "out", "out.partial"]


def test_an_old_folder_that_is_still_in_use_is_removed_by_a_later_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    publish(tmp_path / "out", "old")
    unlink = os.unlink
    busy = tmp_path / "out.partial" / ".nfs0001"  # as NFS calls a file that is still open

    def renames_what_is_open(name: str, **options: Any) -> None:
        if name == "data":
            busy.write_text("")
        unlink(name, **options)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", renames_what_is_open)
        publish(tmp_path / "out", "new", force=True)
    assert busy.exists()
    with pytest.raises(ConfigError, match="did not write"):
        publish(tmp_path / "out", "newer", force=True)
    busy.unlink()
    publish(tmp_path / "out", "newer", force=True)
    assert files(tmp_path).keys() == {"out/data", "out/manifest.json"}
    assert (tmp_path / "out" / "data").read_text() == "newer"


def test_a_folder_that_another_run_holds_is_not_replaced(tmp_path: Path) -> None:
    publish(tmp_path / "out", "old")
    with HeldFolder(tmp_path / "out") as other:
        other.lock()
        with pytest.raises(StorageError, match="another process"):
            publish(tmp_path / "out", "new", force=True)
    assert (tmp_path / "out" / "data").read_text() == "old"


def test_json_is_not_written_through_a_link_and_leaves_no_half(tmp_path: Path) -> None:
    (tmp_path / "precious").write_text("years of work")
    (tmp_path / "x.json").symlink_to(tmp_path / "precious")
    atomic.write_json(tmp_path / "x.json", {"a": 1})
    (tmp_path / "folder.json").mkdir()
    with pytest.raises(OSError, match="directory"):
        atomic.write_json(tmp_path / "folder.json", {"a": 1})
    assert files(tmp_path) == {"precious": "years of work", "x.json": '{\n "a": 1\n}\n'}


def test_a_failed_rename_keeps_the_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def busy(*_: object) -> None:
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    with PartialDirectory(tmp_path / "out", MAKER) as work:
        (work.path / "data").write_text("new")
        work.save_state({"done": 3})
        with monkeypatch.context() as patch:
            patch.setattr(os, "rename", busy)
            with pytest.raises(StorageError, match="busy"):
                work.publish(MANIFEST, ["data"])
    with PartialDirectory(tmp_path / "out", MAKER, resume=True) as work:
        assert work.state is not None
        assert work.state["done"] == 3
        assert not work.suspect
        work.publish(MANIFEST, ["data"])
    assert (tmp_path / "out" / "data").read_text() == "new"


def test_a_failed_last_sync_keeps_the_state_and_says_that_it_is_suspect(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(folder: Path) -> None:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    with monkeypatch.context() as patch, PartialDirectory(tmp_path / "out", MAKER) as work:
        (work.path / "data").write_text("new")
        work.save_state({"done": 3})
        patch.setattr("engramctl.storage.writing.partial_folder.sync_tree", fails)
        with pytest.raises(StorageError, match="Input/output"):
            work.publish(MANIFEST, ["data"])
    with PartialDirectory(tmp_path / "out", MAKER, resume=True) as work:
        assert work.state is not None
        assert work.suspect
