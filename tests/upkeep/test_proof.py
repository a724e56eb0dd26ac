"""An output is up to date when its record proves it; each thing that differs is told in a line."""

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from engramctl.errors import ConfigError
from engramctl.storage.files.atomic import write_json
from engramctl.storage.files.published import RECORD, STATE, partial_path
from engramctl.storage.writing.ownership import STATE_SCHEMA, Maker
from engramctl.storage.writing.partial_folder import PartialDirectory
from engramctl.upkeep.making import Making, begin
from engramctl.upkeep.record import MadeFrom

MAKER = Maker("layout", r"rows\.bin")
Change = Callable[[Path, Path], None]  # of the input folder and the output


def options(folder: Path, **changed: Any) -> dict[str, Any]:
    """Parameters of a command that reads a folder."""
    given = {"source": folder / "in", "out": folder / "out", "tier": "ssd", "if_needed": "time"}
    return given | {"resume": False, "force": False, "memory": "1GiB"} | changed


def look(folder: Path, **changed: Any) -> Making:
    return begin(options(folder, **changed), MAKER, lambda name: f"--{name}")


def make(making: Making) -> Making:
    """Do the work and record it."""
    with PartialDirectory(making.out, MAKER, force=making.force) as work:
        (work.path / "rows.bin").write_bytes(b"rows")
        work.publish({"schema": "engramctl.table/1"}, ["rows.bin"])
    making.record()
    return making


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "a").write_bytes(b"one")
    (tmp_path / "in" / "b").write_bytes(b"two")
    return tmp_path


def test_the_same_options_and_inputs_are_up_to_date(folder: Path) -> None:
    first = make(look(folder))
    assert (first.up_to_date, first.force, first.reason) == (False, False, None)
    again = look(folder)
    assert again.up_to_date
    assert again.document()["compared"] == "time"
    assert not look(folder, if_needed=None).up_to_date


def test_a_run_without_the_flag_writes_no_record_and_is_made_again_once(folder: Path) -> None:
    make(look(folder, if_needed=None))
    assert not (folder / "out" / RECORD).exists()
    making = look(folder)
    assert (making.up_to_date, making.force) == (False, True)
    assert RECORD in (making.reason or "")
    make(making)
    assert look(folder).up_to_date


def test_options_of_the_run_alone_do_not_count(folder: Path) -> None:
    make(look(folder))
    assert look(folder, memory="2GiB", json=True, quiet=True, config="x", tmp_dir="t").up_to_date


def replaced(source: Path, out: Path) -> None:
    times = os.stat(source / "a")
    (source / "new").write_bytes(b"one")
    os.utime(source / "new", ns=(times.st_atime_ns, times.st_mtime_ns))
    os.replace(source / "new", source / "a")


CHANGES: dict[str, tuple[Change, str]] = {
    "size": (lambda source, out: _rewrite(source / "a", b"ones"), "a had 3 bytes, now 4"),
    "time": (lambda source, out: os.utime(source / "a", ns=(1, 1)), "a was written since"),
    "inode": (replaced, "a was replaced"),
    "new": (lambda source, out: _rewrite(source / "c", b""), "c is new"),
    "gone": (lambda source, out: (source / "b").unlink(), "b is gone"),
    "output-missing": (lambda source, out: (out / "rows.bin").unlink(), "rows.bin is missing"),
    "output-cut": (lambda source, out: _rewrite(out / "rows.bin", b"r"), "had 4 bytes, now 1"),
    "manifest": (
        lambda source, out: _rewrite(
            out / "manifest.json", (out / "manifest.json").read_bytes().replace(b"/1", b"/2")
        ),
        "its manifest.json has changed",
    ),
    "no-record": (lambda source, out: (out / RECORD).unlink(), f"no {RECORD}"),
    "damaged-record": (lambda source, out: _rewrite(out / RECORD, b'{"schema'), f"no {RECORD}"),
    "strange-record": (lambda source, out: _rewrite(out / RECORD, b"[]"), f"no {RECORD}"),
}


def _rewrite(file: Path, content: bytes) -> None:
    file.write_bytes(content)


@pytest.mark.parametrize("name", CHANGES)
def test_what_differs_is_told_and_the_folder_may_be_replaced(name: str, folder: Path) -> None:
    change, words = CHANGES[name]
    make(look(folder))
    change(folder / "in", folder / "out")
    making = look(folder)
    assert not making.up_to_date
    assert making.force
    assert words in (making.reason or "")
    make(making)
    assert look(folder).up_to_date


def test_an_option_that_changed_is_told_with_both_values(folder: Path) -> None:
    make(look(folder))
    assert look(folder, tier="host").reason == "--tier was ssd, now host"
    assert look(folder, form="paged").reason == "--form was not given, now paged"


def test_what_another_version_made_is_made_again(folder: Path) -> None:
    making = look(folder)
    old = MadeFrom(making.made_from.options, making.made_from.inputs, "engramctl 0.0.1")
    make(Making(making.out, MAKER, old, force=False))
    assert "engramctl 0.0.1" in (look(folder).reason or "")


def test_with_digests_a_touched_file_is_the_same_and_other_contents_are_not(folder: Path) -> None:
    make(look(folder, if_needed="digest"))
    replaced(folder / "in", folder / "out")
    os.utime(folder / "in" / "b", ns=(5, 5))
    assert look(folder, if_needed="digest").up_to_date
    assert look(folder).up_to_date  # the new times are known by now
    times = os.stat(folder / "in" / "a")
    (folder / "in" / "a").write_bytes(b"eno")
    os.utime(folder / "in" / "a", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert look(folder).up_to_date
    assert "a has other contents" in (look(folder, if_needed="digest").reason or "")


def test_digests_are_recorded_where_none_were_when_nothing_else_changed(folder: Path) -> None:
    make(look(folder))
    record = json.loads((folder / "out" / RECORD).read_text())
    assert {one["xxh3_128"] for one in record["inputs"]} == {None}
    assert look(folder, if_needed="digest").document()["compared"] == "digest"
    os.utime(folder / "in" / "a", ns=(5, 5))
    assert look(folder, if_needed="digest").up_to_date


def test_the_record_of_an_input_is_no_part_of_it(folder: Path) -> None:
    (folder / "in" / RECORD).write_text("{}")
    make(look(folder))
    (folder / "in" / RECORD).write_text("{ }")
    assert look(folder).up_to_date


def test_a_change_while_the_work_is_done_is_noticed(folder: Path) -> None:
    making = look(folder)
    (folder / "in" / "a").write_bytes(b"changed")
    make(making)
    assert "bytes" in (look(folder).reason or "")


def test_another_ones_folder_is_never_touched(folder: Path) -> None:
    (folder / "out").mkdir()
    (folder / "out" / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match="not written by engramctl"):
        look(folder)
    make(look(folder, out=folder / "ours"))
    (folder / "ours" / "thesis.txt").write_text("mine")
    with pytest.raises(ConfigError, match="did not write"):
        look(folder, out=folder / "ours")


def unfinished(folder: Path) -> None:
    partial = partial_path(folder / "out")
    partial.mkdir()
    state = {"schema": STATE_SCHEMA, "command": "layout", "resumable": True, "done": 3}
    write_json(partial / STATE, state)


@pytest.mark.parametrize("finished", [False, True])
def test_an_unfinished_folder_is_continued_only_with_resume(folder: Path, finished: bool) -> None:
    if finished:
        make(look(folder, tier="host"))
    unfinished(folder)
    with pytest.raises(ConfigError, match="unfinished"):
        look(folder)
    making = look(folder, resume=True)
    assert (making.up_to_date, making.force) == (False, finished)


def test_what_is_up_to_date_is_so_whatever_another_run_left(folder: Path) -> None:
    make(look(folder))
    unfinished(folder)
    assert look(folder).up_to_date
    assert partial_path(folder / "out").exists()


def test_words_that_cannot_be_are_refused(folder: Path) -> None:
    with pytest.raises(ConfigError, match="--force"):
        look(folder, force=True)
    with pytest.raises(ConfigError, match="always"):
        look(folder, if_needed="always")
    assert not look(folder, if_needed="false", force=True).up_to_date  # from a config file


def test_ten_thousand_inputs_are_one_look_each(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(300):
        (folder / "in" / str(number)).write_bytes(b"")
    make(look(folder))
    monkeypatch.setattr("builtins.open", _refuse_inputs(folder / "in"))
    assert look(folder).up_to_date


def _refuse_inputs(source: Path) -> Any:
    plain = open

    def opened(file: Any, *words: Any, **named: Any) -> Any:
        assert str(source) not in str(file), f"{file} was opened"
        return plain(file, *words, **named)

    return opened
