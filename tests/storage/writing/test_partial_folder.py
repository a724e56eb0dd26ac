import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from engramctl.errors import ConfigError, EngramError, FormatError, StorageError
from engramctl.storage.files import atomic
from engramctl.storage.files.published import read_manifest, read_state
from engramctl.storage.writing.ownership import check_target
from engramctl.storage.writing.partial_folder import PartialDirectory
from tests.storage.writing.crash_fs import Recorder
from tests.storage.writing.publishing import MAKER, MANIFEST, ONCE, fail_with_state, publish


def test_a_published_folder_holds_its_files_and_manifest_and_nothing_else(tmp_path: Path) -> None:
    publish(tmp_path / "deep" / "out", "new")
    assert sorted(os.listdir(tmp_path / "deep")) == ["out"]
    assert sorted(os.listdir(tmp_path / "deep" / "out")) == ["data", "manifest.json"]
    assert read_manifest(tmp_path / "deep" / "out") == MANIFEST


def test_a_finished_folder_is_replaced_only_with_force(tmp_path: Path) -> None:
    publish(tmp_path / "out", "old")
    with pytest.raises(ConfigError, match="exists already") as caught:
        publish(tmp_path / "out", "new")
    assert "--force" in (caught.value.hint or "")
    publish(tmp_path / "out", "new", force=True)
    assert (tmp_path / "out" / "data").read_text() == "new"
    assert os.listdir(tmp_path) == ["out"]


@pytest.mark.parametrize("exchange", [True, False])
def test_a_failing_forced_publish_keeps_the_old_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, exchange: bool
) -> None:
    publish(tmp_path / "out", "old")

    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    if exchange:
        monkeypatch.setattr(atomic, "exchange_names", fail)
    else:
        monkeypatch.setattr(atomic, "exchange_names", lambda *_: False)
        rename, calls = os.rename, []

        def second_fails(source: Path, target: Path) -> None:
            calls.append(source)
            if len(calls) == 2:
                fail()
            rename(source, target)

        monkeypatch.setattr(os, "rename", second_fails)
    with pytest.raises(StorageError, match="No space"):
        publish(tmp_path / "out", "new", force=True)
    assert (tmp_path / "out" / "data").read_text() == "old"
    assert sorted(os.listdir(tmp_path)) == ["out", "out.partial"]


def test_without_an_exchanging_rename_force_still_replaces(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(atomic, "exchange_names", lambda *_: False)
    publish(tmp_path / "out", "old")
    publish(tmp_path / "out", "new", force=True)
    assert (tmp_path / "out" / "data").read_text() == "new"
    assert os.listdir(tmp_path) == ["out"]


def test_force_never_replaces_a_folder_that_is_not_ours(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    with pytest.raises(ConfigError, match="not written by engramctl"):
        publish(tmp_path / "out", "new", force=True)
    assert (tmp_path / "out" / "thesis.tex").exists()


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    publish(tmp_path / "out", "new")
    assert (tmp_path / "out" / "data").read_text() == "new"


def test_a_failure_leaves_a_partial_folder_that_names_its_options(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        fail_with_state(tmp_path / "out")
    assert os.listdir(tmp_path) == ["out.partial"]
    with pytest.raises(ConfigError, match="unfinished") as caught:
        publish(tmp_path / "out", "new")
    assert "--resume" in (caught.value.hint or "")
    assert "--force" in (caught.value.hint or "")
    with PartialDirectory(tmp_path / "out", MAKER, resume=True) as work:
        assert work.state is not None
        assert work.state["done"] == 3
        assert (work.path / "data").read_text() == "half"
    with PartialDirectory(tmp_path / "out", MAKER, force=True) as work:
        assert work.state is None
        assert not (work.path / "data").exists()
        work.publish(MANIFEST, [])


def test_a_failure_without_keeping_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        fail_with_state(tmp_path / "out", ONCE)
    assert os.listdir(tmp_path) == []


def test_nothing_written_means_nothing_left(tmp_path: Path) -> None:
    with PartialDirectory(tmp_path / "out", MAKER):
        pass
    assert os.listdir(tmp_path) == []


def test_what_is_saved_is_kept_though_its_files_are_elsewhere(tmp_path: Path) -> None:
    with PartialDirectory(tmp_path / "out", MAKER) as work:
        work.save_state({"done": 3})
    with PartialDirectory(tmp_path / "out", MAKER, resume=True) as work:
        assert work.state is not None
        assert work.state["done"] == 3


def test_unfinished_missing_and_foreign_folders_are_told_apart(tmp_path: Path) -> None:
    with pytest.raises(KeyError):
        fail_with_state(tmp_path / "out")
    for name in ("out", "out.partial"):
        with pytest.raises(FormatError, match="unfinished") as caught:
            read_manifest(tmp_path / name)
        assert "engramctl build ... --resume" in (caught.value.hint or "")
    (tmp_path / "other").mkdir()
    with pytest.raises(FormatError, match="is an empty folder"):
        read_manifest(tmp_path / "other")
    (tmp_path / "other" / "notes.txt").write_text("mine")
    with pytest.raises(FormatError, match=r"no manifest\.json"):
        read_manifest(tmp_path / "other")
    with pytest.raises(StorageError, match="No such file"):
        read_manifest(tmp_path / "nowhere")
    (tmp_path / "other" / "manifest.json").write_text("[" * 100_000)
    with pytest.raises(FormatError, match="not valid JSON"):
        read_manifest(tmp_path / "other")


def test_two_processes_cannot_write_one_folder(tmp_path: Path) -> None:
    with PartialDirectory(tmp_path / "out", MAKER) as work:
        (work.path / "data").write_text("mine")
        with (
            pytest.raises(StorageError, match="another process"),
            PartialDirectory(tmp_path / "out", MAKER, force=True),
        ):
            pass
        work.publish(MANIFEST, ["data"])
    assert (tmp_path / "out" / "data").read_text() == "mine"


@pytest.mark.parametrize("name", ["file/out", "file/deep/out"])
def test_a_path_below_a_file_is_one_clear_error(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(StorageError, match="Not a directory") as caught,
        PartialDirectory(tmp_path / name, MAKER),
    ):
        pass
    assert caught.value.hint


@pytest.mark.parametrize("name", ["file", "out.partial"])
def test_a_file_or_a_partial_name_is_refused_as_output(tmp_path: Path, name: str) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError):
        PartialDirectory(tmp_path / name, MAKER, force=True)


def test_a_link_to_a_folder_is_followed(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk" / "real")
    publish(tmp_path / "out", "new")
    assert (tmp_path / "disk" / "real" / "data").read_text() == "new"


SMALL_DISK = """
import sys, pathlib
from engramctl.errors import StorageError
from engramctl.storage.writing.partial_folder import PartialDirectory
from engramctl.storage.writing.ownership import Maker, check_target
try:
    with PartialDirectory(pathlib.Path(sys.argv[1]) / "out", Maker("build", "data")) as work:
        (work.path / "data").write_bytes(bytes(8 << 20))
except StorageError as error:
    print(error.render())
"""


@pytest.mark.parametrize(
    ("options", "expected"), [("size=1m", "No space left"), ("ro,size=1m", "Read-only file system")]
)
def test_a_full_or_read_only_disk_is_one_clear_error(
    tmp_path: Path, options: str, expected: str
) -> None:
    mount = f'mount -t tmpfs -o {options} none {tmp_path} && exec "$@"'
    command = ["unshare", "-m", "sh", "-c", mount, "sh", sys.executable, "-c", SMALL_DISK]
    try:
        done = subprocess.run(
            [*command, str(tmp_path)], capture_output=True, text=True, check=False
        )
    except FileNotFoundError:
        pytest.skip("no unshare on this machine")
    if "unshare:" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"mounting is refused here: {done.stderr.strip()}")
    assert expected in done.stdout, done.stderr
    assert "Hint:" in done.stdout


def test_a_saved_state_survives_any_crash(tmp_path: Path) -> None:
    (tmp_path / "root").mkdir()
    with PartialDirectory(tmp_path / "root" / "out", MAKER) as work:
        with Recorder(tmp_path / "root") as recorder:
            work.save_state({"done": 3})
        for finished, tree in recorder.states():
            state = json.loads(tree["out.partial/state.json"] or b"")
            assert state.get("done") == 3 or not finished


def test_a_state_that_is_not_ours_is_no_state(tmp_path: Path) -> None:
    (tmp_path / "state.json").write_text("[]")
    assert read_state(tmp_path) is None


@pytest.mark.parametrize("name", ["/", "n" * 300, "n" * 250, "n" * 256 + "/out"])
@pytest.mark.parametrize("force", [False, True])
def test_a_name_that_no_folder_can_have_is_one_clear_error(
    tmp_path: Path, name: str, force: bool
) -> None:
    with pytest.raises(EngramError) as caught:
        publish(tmp_path / name, "new", force=force)
    assert caught.value.hint
    assert os.listdir(tmp_path) == []


def test_a_folder_one_may_not_enter_is_one_clear_error(tmp_path: Path) -> None:
    (tmp_path / "shut" / "out").mkdir(parents=True)
    is_root = os.geteuid() == 0
    (tmp_path / "shut").chmod(0)
    if is_root:
        os.seteuid(65534)
    try:
        for name in ("out", "other"):
            with pytest.raises(StorageError, match="Permission denied") as caught:
                check_target(tmp_path / "shut" / name, MAKER)
            assert caught.value.hint
    finally:
        if is_root:
            os.seteuid(0)
        (tmp_path / "shut").chmod(0o700)
